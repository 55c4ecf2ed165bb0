// Package page is what a person sees and does in a browser: the servers and
// their sessions at /, one session with what may be done to it, the sentence
// that asks before a signal, its outcome, and the orders that wait for a person.
// All of it is HTML and forms, without a script.
//
// It shows nothing that /metrics keeps back: a statement's text goes through
// Site.Text, and an error is shown as a sentence of ours. It signals nothing
// itself: an order is a remediation.Request, fenced by what the person saw.
package page

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
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

// Site is what all pages have in common: settings of one generation.
type Site struct {
	// URL is the external address, without a slash at its end. Links are its path
	// and commands name it.
	URL string
	// AlertmanagerURL is where a silence is made. Empty: nowhere.
	AlertmanagerURL string
	// Mode is remediation.mode, and Grace remediation.grace.
	Mode  string
	Grace time.Duration
	// SeverityLabel and Severities are what the alerts would say that the policy
	// is asked about. Without severities it is asked about an alert without one.
	SeverityLabel string
	Severities    []string
	// MinDuration is how old a session must be to be listed, in seconds.
	MinDuration float64
	// Limit and Window are the budget of one server.
	Limit  int
	Window time.Duration
	// Text is how much of a statement may be shown. nil: nothing.
	Text func(string) string
	// WebhookURL is where the endpoints that need the token answer, if not
	// beside the page: scheme://host:port. Where they listen on every address,
	// they have the host of URL.
	WebhookURL string
	Version    string
	// MostServers is how many servers / reads. Where there are more, people choose
	// one.
	MostServers int
}

// Person is who looks at a page. The zero Person is nobody.
type Person struct {
	Name     string
	Operator bool // may act by hand
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

// Orders carries out what a person orders; a remediation.Remediator does. Its
// methods may be called by many goroutines.
type Orders interface {
	Preview(ctx context.Context, req remediation.Request) remediation.Preview
	Remediate(ctx context.Context, req remediation.Request) remediation.Result
	Approvals() []ledger.Entry
	Approve(ctx context.Context, id, by, comment string) (remediation.Result, error)
	Deny(ctx context.Context, id, by, comment string) (remediation.Result, error)
}

// Source is where the pages get everything from.
type Source struct {
	Orders
	// Person tells who makes a request.
	Person func(*http.Request) Person
	// Names are those of all servers, and Servers reads some. The result belongs to
	// others too: nobody changes it.
	Names   func() []string
	Servers func(ctx context.Context, names []string) []Server
	// Think waits until a page may be made of what was read; the page calls the result
	// when it is made.
	Think func(context.Context) (made func())
	// Known reports whether a server of this name is configured. Find reads one of
	// its sessions; false: no backend has the pid.
	Known func(server string) bool
	Find  func(ctx context.Context, server string, pid int32) (session.Found, bool, error)
	// Recent returns the ledger's last lines, newest first. Suspended are the servers
	// that an operator must resume. While the ledger is not up, nothing is signalled.
	Recent    func(n int) []ledger.Entry
	Suspended func() []string
	LedgerUp  func() bool
	// Now is our clock.
	Now func() time.Time
}

// Pages are the handlers. They check neither the method nor the path, which the
// patterns of the routes do. Of the headers for security they set the one that
// depends on what is in a page.
type Pages struct {
	site   Site
	source Source
	logger log.Logger
	base   string // path of the external address, without a slash at its end
	pages  *template.Template
	policy string // Content-Security-Policy
}

//go:embed html/*.html html/page.css
var files embed.FS

// New makes the pages of one generation.
func New(site Site, source Source, logger log.Logger) *Pages {
	css, err := files.ReadFile("html/page.css")
	if err != nil {
		panic(err) // it is embedded
	}
	hash := sha256.Sum256(css)
	p := &Pages{
		site: site, source: source, logger: logger, base: basePath(site.URL),
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'; " +
			"img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
	}
	style := func() template.CSS { return template.CSS(css) }
	p.pages = template.Must(template.New("").Funcs(template.FuncMap{"css": style}).ParseFS(files, "html/*.html"))
	return p
}

// write answers with a page.
func (p *Pages) write(w http.ResponseWriter, status int, page string, view any) {
	header := w.Header()
	header.Set("Content-Security-Policy", p.policy)
	header.Set("Cache-Control", "no-store")
	var body bytes.Buffer
	if err := p.pages.ExecuteTemplate(&body, page, view); err != nil {
		level.Error(p.logger).Log("msg", "Rendering a page failed", "page", page, "err", err)
		http.Error(w, "the page could not be made; the log of pgbailiff says why", http.StatusInternalServerError)
		return
	}
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // the client may have gone
}

// frame is what is around every page.
type frame struct {
	Title   string
	Base    string // of all links
	Self    string // the page's own address; empty: it is the answer to a form
	Now     string
	Version string
	Person  Person // its name is fit to be shown
	Waiting int    // orders that wait for a person
	// LedgerDown says that nothing is signalled, and that of what waits and of what is
	// on record some may not be known.
	LedgerDown bool
	// ManyServers says that there are more than are read at once.
	ManyServers bool
}

func (p *Pages) frame(r *http.Request, person Person, title string) frame {
	person.Name = name(person.Name)
	self := ""
	if r.Method != http.MethodPost {
		self = p.base + r.URL.EscapedPath()
		if action, ok := parseAction(r.URL.Query()["action"]); ok {
			self += "?action=" + string(action)
		}
	}
	return frame{
		Title: title, Base: p.base, Self: self, Now: p.source.Now().UTC().Format(time.DateTime),
		Version: name(p.site.Version), Person: person, Waiting: len(p.source.Approvals()),
		LedgerDown: !p.source.LedgerUp(), ManyServers: len(p.source.Names()) > p.site.MostServers,
	}
}
