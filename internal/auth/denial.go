package auth

import (
	"net/http"
	"strings"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
)

// Denial is why a request is not answered as it wants.
type Denial struct {
	Status int
	Answer string // one plain sentence for the client
	Cause  error  // for the log
}

// Write answers with the sentence, and logs the request.
func (d *Denial) Write(w http.ResponseWriter, r *http.Request, logger log.Logger) {
	logger = log.With(level.Warn(logger), "path", short(r.URL.Path), "remote", r.RemoteAddr, "status", d.Status, "why", d.Answer)
	if d.Cause != nil {
		logger = log.With(logger, "err", d.Cause)
	}
	_ = logger.Log("msg", "Refused a request")
	if d.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	http.Error(w, d.Answer, d.Status)
}

// Require passes on the requests of those who may give orders.
func (a Authenticator) Require(next http.Handler, logger log.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, denial := a.Check(r); denial != nil {
			denial.Write(w, r, logger)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// short is what is logged of a path, which may be as long as the client likes.
func short(path string) string {
	const most = 256
	if len(path) <= most {
		return path
	}
	return strings.ToValidUTF8(path[:most], "") + "…"
}
