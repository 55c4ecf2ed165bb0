// Package page is what a person sees at /: the servers and their state, the
// sessions that have lasted longest and what the policy would do to each, who
// blocks whom, and the last decisions. It is one HTML page without a script.
//
// It shows nothing that /metrics keeps back: a statement's text goes through
// Data.Text, and an error is shown as a sentence of ours.
package page

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strconv"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// Data is everything that the page shows, as values of one moment.
type Data struct {
	Servers []Server
	// Mode is remediation.mode.
	Mode string
	// Preview tells what an alert with these labels would lead to for a session.
	// It is called for many sessions at a time. nil: nothing is shown of that.
	Preview func(ctx context.Context, s session.Session, labels map[string]string) remediation.Preview
	// SeverityLabel and Severities are what the alerts would say that the policy
	// is asked about. Without severities it is asked about an alert without one.
	SeverityLabel string
	Severities    []string
	// Decisions are the ledger's last lines, newest first.
	Decisions []ledger.Entry
	// MinDuration is how old a session must be to be shown, in seconds.
	MinDuration float64
	// Limit and Window are the budget of one server.
	Limit  int
	Window time.Duration
	// Text is how much of a statement may be shown. nil: nothing.
	Text func(string) string
	// WebhookURL is where the endpoints that need the token answer, if not
	// beside the page: scheme://host:port. Where they listen on every address,
	// they have the page's host.
	WebhookURL string
	Version    string
	Now        time.Time
}

// Server is one configured server.
type Server struct {
	Name string
	// Snapshot has the statements' texts. It means nothing when Err is not nil.
	Snapshot session.Snapshot
	// Err says that the server could not be read. It is never shown.
	Err error
	// Suspended and Spent are the ledger's: whether an operator must resume, and
	// how many signals count against the limit now.
	Suspended bool
	Spent     int
}

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
)

// Handler serves the page. It checks neither the method nor the path, which the
// pattern of the route does. load is called for each request, with its context;
// its error goes to the log.
func Handler(load func(context.Context) (Data, error), logger log.Logger) http.Handler {
	tmpl := template.Must(template.New("page").Parse(pageHTML))
	hash := sha256.Sum256([]byte(pageCSS))
	csp := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'; " +
		"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", csp)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cache-Control", "no-store")
		data, err := load(r.Context())
		var body bytes.Buffer
		if err == nil {
			err = tmpl.Execute(&body, newView(r.Context(), data, here(r)))
		}
		if err != nil {
			level.Error(logger).Log("msg", "Rendering the page failed", "err", err)
			http.Error(w, "the page could not be made; the log of pgbailiff says why", http.StatusInternalServerError)
			return
		}
		header.Set("Content-Type", "text/html; charset=utf-8")
		header.Set("Content-Length", strconv.Itoa(body.Len()))
		_, _ = w.Write(body.Bytes()) // the client may have gone
	})
}
