package app

import (
	"net/http"

	"github.com/go-kit/log/level"

	"github.com/pgbailiff/pgbailiff/internal/auth"
)

// notCrossSite refuses the requests that a page of another site makes a browser
// send. The browser adds basic auth, client certificates and what a proxy knows
// its user by to them too. A proxy may change the host, so the external URL's
// origin is ours as well.
func (a *app) notCrossSite(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	if err := protection.AddTrustedOrigin(a.external.Scheme + "://" + a.external.Host); err != nil {
		level.Warn(a.logger).Log("msg", "The external URL has no origin", "err", err)
	}
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		level.Warn(a.logger).Log("msg", "Refused a cross-site request", "path", r.URL.Path, "remote", r.RemoteAddr)
		auth.Refuse(w, r, http.StatusForbidden, "this is not for the pages of other sites")
	}))
	return protection.Handler(next)
}

// secured gives every answer the headers that keep a page of ours out of other
// sites' frames and its address out of their logs.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}
