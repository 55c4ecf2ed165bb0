package auth

import (
	"encoding/json"
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
	// Nameless says that a person's name is missing, which no header of the client's
	// can bring.
	Nameless bool
}

// Write answers with the sentence, and logs the request.
func (d *Denial) Write(w http.ResponseWriter, r *http.Request, logger log.Logger) {
	logger = log.With(level.Warn(logger), "path", short(r.URL.Path), "remote", r.RemoteAddr, "status", d.Status, "why", d.Answer)
	if d.Cause != nil {
		logger = log.With(logger, "err", d.Cause)
	}
	_ = logger.Log("msg", "Refused a request")
	if d.Status == http.StatusUnauthorized && !d.Nameless {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	Refuse(w, r, d.Status, d.Answer)
}

// Refuse answers with a sentence, which the JSON API wraps in an object.
func Refuse(w http.ResponseWriter, r *http.Request, status int, sentence string) {
	if !strings.HasPrefix(r.URL.Path, "/api/") {
		http.Error(w, sentence, status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": sentence}) // the client may have gone
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

// RequireOr passes on the requests of those who may give orders, and of operators.
func (a Authenticator) RequireOr(people *People, next http.Handler, logger log.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		person := people.Person(r)
		if _, denial := a.Check(r); denial != nil && !person.Operator {
			if person.Name != "" {
				denial = &Denial{Status: http.StatusForbidden, Answer: "people.operators does not have your name"}
			}
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
