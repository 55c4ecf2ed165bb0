package app

import (
	"fmt"
	"net/http"

	"github.com/pgbailiff/pgbailiff/internal/auth"
)

// route is one pattern and who serves it in a generation.
type route struct {
	pattern string
	serve   func(handlers) http.Handler
}

// sessionPath is where the page of one session is.
const sessionPath = "/sessions/{server}/{pid}/{backend_start}"

// routesOfMain are those of the main listener. Orders may signal a session.
func routesOfMain() (reading, orders []route) {
	reading = []route{
		{"GET /{$}", func(h handlers) http.Handler { return h.pages.index }},
		{"GET " + sessionPath, func(h handlers) http.Handler { return h.pages.session }},
		{"GET " + sessionPath + "/confirm", func(h handlers) http.Handler { return h.pages.confirm }},
		{"GET /approvals", func(h handlers) http.Handler { return h.pages.approvals }},
		{"GET /metrics", func(h handlers) http.Handler { return h.metrics }},
		{"GET /probe", func(h handlers) http.Handler { return h.probe }},
		{"POST /-/reload", func(h handlers) http.Handler { return h.reload }},
		{"PUT /-/reload", func(h handlers) http.Handler { return h.reload }},
		{"POST /-/resume", func(h handlers) http.Handler { return h.resume }},
		{"GET /api/v1/decisions", func(h handlers) http.Handler { return h.decisions }},
		{"GET /api/v1/sessions", func(h handlers) http.Handler { return h.api.sessions }},
		{"GET /api/v1/targets", func(h handlers) http.Handler { return h.api.targets }},
		{"GET /api/v1/approvals", func(h handlers) http.Handler { return h.api.approvals }},
	}
	orders = []route{
		{"POST " + sessionPath + "/confirm", func(h handlers) http.Handler { return h.pages.act }},
		{"POST /approvals/{id}", func(h handlers) http.Handler { return h.pages.answer }},
		{"POST /api/v1/actions", func(h handlers) http.Handler { return h.api.actions }},
		{"POST /api/v1/approvals/{id}", func(h handlers) http.Handler { return h.api.answer }},
	}
	return reading, orders
}

// routes says what is served where: everything on the main listener, or, where
// the webhook has a listener of its own, the messages and what goes with them
// there. Without one, own is nil.
func (a *app) routes() (main, own http.Handler) {
	mux := http.NewServeMux()
	mux.Handle("GET /-/healthy", sentence("pgbailiff is healthy."))
	mux.Handle("GET /-/ready", sentence("pgbailiff is ready."))
	reading, orders := routesOfMain()
	for _, r := range reading {
		mux.Handle(r.pattern, a.current(r.serve))
	}
	for _, r := range orders {
		mux.Handle(r.pattern, a.counted(r.serve))
	}
	messages := http.NewServeMux() // inside the counter, which so counts its 405 too
	messages.Handle("POST /webhook", a.counted(func(h handlers) http.Handler { return h.webhook }))
	hook := a.messages.CountRequests(messages)

	main = under(a.external.Path, a.notCrossSite(mux))
	if a.generations.current.Load().cfg.Webhook.ListenAddress == "" {
		mux.Handle("/webhook", hook)
		return main, nil
	}
	second := http.NewServeMux()
	second.Handle("/webhook", hook)
	second.Handle("POST /-/resume", a.current(func(h handlers) http.Handler { return h.ownResume }))
	second.Handle("GET /api/v1/decisions", a.current(func(h handlers) http.Handler { return h.ownDecisions }))
	return main, a.notCrossSite(second)
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
			auth.Refuse(w, r, http.StatusServiceUnavailable, errStopping.Error())
			return
		}
		defer g.orders.leave()
		of(g.handlers).ServeHTTP(w, r)
	})
}

// reloadHandler reloads for everybody who may give orders, for operators, and with
// --web.enable-lifecycle for everybody.
func (a *app) reloadHandler(g *generation, token auth.Authenticator) http.Handler {
	load := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		badFiles, err := a.requestReload(r.Context(), g.people.By(r))
		if err != nil {
			http.Error(w, "kept the old configuration: "+err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = fmt.Fprintln(w, "loaded the configuration")
		for _, err := range badFiles {
			_, _ = fmt.Fprintln(w, "kept the old servers of a file:", err)
		}
	})
	switch {
	case a.options.Lifecycle:
		return load
	case token == (auth.Authenticator{}) && len(g.cfg.People.Operators) == 0:
		return forbidden("to reload like this, set webhook.credentials_file and send its token, or start with --web.enable-lifecycle; SIGHUP always does it")
	default:
		return token.RequireOr(g.people, load, a.logger)
	}
}

func forbidden(why string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, why, http.StatusForbidden) })
}

func sentence(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, text) })
}
