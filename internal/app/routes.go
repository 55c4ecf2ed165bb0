package app

import (
	"fmt"
	"net/http"

	"github.com/go-kit/log/level"

	"github.com/pgbailiff/pgbailiff/internal/auth"
	"github.com/pgbailiff/pgbailiff/internal/config"
)

// routes says what is served where. When the webhook has a listener of its own,
// own has the endpoints for orders; otherwise own is main.
func (a *app) routes() (main, own *http.ServeMux) {
	main = http.NewServeMux()
	main.Handle("GET /{$}", a.current(func(h handlers) http.Handler { return h.page }))
	main.Handle("GET /metrics", a.current(func(h handlers) http.Handler { return h.metrics }))
	main.Handle("GET /-/healthy", sentence("pgbailiff is healthy."))
	main.Handle("GET /-/ready", sentence("pgbailiff is ready."))
	for _, method := range []string{"POST", "PUT"} {
		main.Handle(method+" /-/reload", a.current(func(h handlers) http.Handler { return h.reload }))
	}

	own = main
	if a.generations.current.Load().cfg.Webhook.ListenAddress != "" {
		own = http.NewServeMux()
	}
	messages := http.NewServeMux() // inside the counter, which so counts its 405 too
	messages.Handle("POST /webhook", a.counted(func(h handlers) http.Handler { return h.webhook }))
	own.Handle("/webhook", a.messages.CountRequests(messages))
	own.Handle("POST /-/resume", a.current(func(h handlers) http.Handler { return h.resume }))
	own.Handle("GET /api/v1/decisions", a.current(func(h handlers) http.Handler { return h.decisions }))
	return main, own
}

// current serves a request with a handler of the current generation.
func (a *app) current(of func(handlers) http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		of(a.generations.current.Load().handlers).ServeHTTP(w, r)
	})
}

// counted does the same for orders: the generation keeps its servers open until
// the order has ended. After the stop it answers 503, and Alertmanager repeats
// the alert to the next pgbailiff.
func (a *app) counted(of func(handlers) http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g, ok := a.generations.enter()
		if !ok {
			http.Error(w, errStopping.Error(), http.StatusServiceUnavailable)
			return
		}
		defer g.orders.leave()
		of(g.handlers).ServeHTTP(w, r)
	})
}

// reloadHandler reloads for everybody who may give orders, and with
// --web.enable-lifecycle for everybody.
func (a *app) reloadHandler(cfg *config.Config, access access) http.Handler {
	load := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := a.requestReload(r.Context()); err != nil {
			http.Error(w, "kept the old configuration: "+err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = fmt.Fprintln(w, "loaded the configuration")
	})
	switch certificates := access.main.clientCertificates; {
	case a.options.Lifecycle:
		return load
	case cfg.Webhook.CredentialsFile == "" && !certificates:
		return forbidden("to reload like this, set webhook.credentials_file and send its token, or start with --web.enable-lifecycle; SIGHUP always does it")
	default:
		return auth.Authenticator{CredentialsFile: cfg.Webhook.CredentialsFile, ClientCertificates: certificates}.Require(load, a.logger)
	}
}

func forbidden(why string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, why, http.StatusForbidden) })
}

// notCrossSite refuses the requests that a page of another site makes a browser
// send. The browser adds basic auth and client certificates to them too.
func (a *app) notCrossSite(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		level.Warn(a.logger).Log("msg", "Refused a cross-site request", "path", r.URL.Path, "remote", r.RemoteAddr)
		http.Error(w, "this is not for the pages of other sites", http.StatusForbidden)
	}))
	return protection.Handler(next)
}

func sentence(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, text) })
}
