package app

import (
	"context"
	"fmt"
	"net/http"

	"github.com/go-kit/log/level"

	"github.com/pgbailiff/pgbailiff/collector"
	"github.com/pgbailiff/pgbailiff/internal/page"
)

func (a *app) routes(mux *http.ServeMux) {
	mux.Handle("/metrics", collector.Handler(a.registry, func() collector.Settings { return a.generations.current.Load().scrape }, a.logger))
	mux.Handle("/-/healthy", sentence("pgbailiff is healthy."))
	mux.Handle("/-/ready", sentence("pgbailiff is ready."))
	mux.Handle("/-/reload", a.reloadHandler())
	mux.Handle("/", page.Handler(a.pageData, a.logger))
}

// reloadHandler is for whoever may give orders, or with --web.enable-lifecycle
// for everybody who can reach us.
func (a *app) reloadHandler() http.Handler {
	load := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := a.reload(); err != nil {
			http.Error(w, "kept the old configuration: "+err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = fmt.Fprintln(w, "loaded the configuration")
	}))
	authorized := a.authorized(load)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := a.generations.current.Load()
		switch {
		case r.Method != http.MethodPost && r.Method != http.MethodPut:
			w.Header().Set("Allow", "POST, PUT")
			http.Error(w, "this takes POST", http.StatusMethodNotAllowed)
		case a.options.Lifecycle:
			load.ServeHTTP(w, r)
		case g.cfg.Webhook.CredentialsFile == "" && !g.certificates:
			http.Error(w, "to reload like this, set webhook.credentials_file and send its token, or start with --web.enable-lifecycle; SIGHUP always does it",
				http.StatusForbidden)
		default:
			authorized.ServeHTTP(w, r)
		}
	})
}

// inGeneration keeps the servers open that a message may use. A message that
// comes after the stop is for the next pgbailiff.
func (a *app) inGeneration() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g, ok := a.generations.enter()
		if !ok {
			http.Error(w, errStopping.Error(), http.StatusServiceUnavailable)
			return
		}
		defer g.messages.exit()
		g.webhook.ServeHTTP(w, r)
	})
}

// onlyFor serves one pattern and answers 405 to its other methods.
func onlyFor(pattern string, h http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(pattern, h)
	return mux
}

// authorized passes on the requests of those who may give orders.
func (a *app) authorized(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.generations.current.Load().auth.Require(next, a.logger).ServeHTTP(w, r)
	})
}

func (a *app) resume(ctx context.Context, server string) error {
	return a.generations.current.Load().remediator.Resume(ctx, server)
}

// notCrossSite refuses what a page of another site makes a browser send: where
// basic auth or a client certificate lets a person in, it would come with those.
func (a *app) notCrossSite(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		level.Warn(a.logger).Log("msg", "Refused what a page of another site has sent", "path", r.URL.Path, "remote", r.RemoteAddr)
		http.Error(w, "this is not for the pages of other sites", http.StatusForbidden)
	}))
	return protection.Handler(next)
}

func sentence(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, text) })
}
