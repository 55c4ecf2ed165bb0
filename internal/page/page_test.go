package page_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/page"
)

// calm is one server on which nothing is the matter.
func calm(t testing.TB) world {
	d := fullPage(t)
	d.Mode, d.Decisions, d.Servers = "dry-run", nil, d.Servers[:1]
	s := &d.Servers[0].Snapshot
	d.Servers[0].Spent = 0
	s.Connections, s.Sessions, s.Waiters, s.LockWaits, s.Blockers = 12, nil, nil, nil, nil
	return d
}

func TestGolden(t *testing.T) {
	down := fullPage(t)
	down.Decisions = nil
	for i := range down.Servers {
		down.Servers[i].Err = errors.New("refused")
	}
	down.Servers[0].Err = fmt.Errorf("read the activity: %w", context.DeadlineExceeded)

	suspended := calm(t)
	suspended.Mode, suspended.WebhookURL = "enforce", "http://:10188"
	suspended.Servers[0].Name, suspended.Servers[0].Suspended = "orders & 'more'", true

	hurried := calm(t)
	hurried.Mode, hurried.Text = "off", nil
	hurried.Servers[0].Snapshot.LocksKnown, hurried.Servers[0].Snapshot.Hidden = false, 2
	hurried.Servers = append(hurried.Servers, page.Server{Name: "archive", Err: errors.New("refused")})

	for file, d := range map[string]world{
		"full.html": fullPage(t), "empty.html": {}, "calm.html": calm(t), "down.html": down,
		"suspended.html": suspended, "hurried.html": hurried,
	} {
		t.Run(file, func(t *testing.T) { golden(t, file, render(t, d)) })
	}
}

// TestGoldenPages are the pages of one session, and what follows from them.
func TestGoldenPages(t *testing.T) {
	for page, html := range everyPage(t, fullPage(t)) {
		if page != "index" {
			file := "page-" + strings.ReplaceAll(page, " ", "-") + ".html"
			t.Run(file, func(t *testing.T) { golden(t, file, html) })
		}
	}
}

// TestHeaders: every page keeps to its policy, in which nothing is allowed but
// the one style sheet and forms for ourselves, and no page is stored.
func TestHeaders(t *testing.T) {
	w := fullPage(t)
	for name, path := range paths(w) {
		got := get(t, handler(w), path)
		_, rest, _ := strings.Cut(got.body, "<style>")
		css, _, _ := strings.Cut(rest, "</style>")
		hash := sha256.Sum256([]byte(css))
		want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
			"'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
		if policy := got.header.Get("Content-Security-Policy"); policy != want {
			t.Errorf("%s: Content-Security-Policy\n%s, want\n%s", name, policy, want)
		}
		if strings.Contains(got.body, "style=") || strings.Contains(got.body, "<script") {
			t.Errorf("%s has what its own policy forbids", name)
		}
		if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: %v", name, got.header)
		}
	}
}

// TestLinksStayBelowTheExternalURL: a proxy may serve us below a path.
func TestLinksStayBelowTheExternalURL(t *testing.T) {
	for name, html := range everyPage(t, fullPage(t)) {
		for _, found := range regexp.MustCompile(`(?:href|action)="([^"]*)"`).FindAllStringSubmatch(html, -1) {
			switch to := found[1]; {
			case strings.HasPrefix(to, "/pg/"), strings.HasPrefix(to, "#"), strings.HasPrefix(to, "data:"),
				strings.HasPrefix(to, "https://github.com/"), strings.HasPrefix(to, "https://alertmanager.example/am/#/silences/new?"):
			default:
				t.Errorf("%s leads to %s", name, to)
			}
		}
	}
}

// TestErrorsAreNotShown: errors name hosts and users; the log has them.
func TestErrorsAreNotShown(t *testing.T) {
	for _, secret := range []string{"hunter2", "10.20.8.8"} {
		w := fullPage(t)
		w.FindErr = w.Servers[3].Err
		for name, html := range everyPage(t, w) {
			if strings.Contains(html, secret) {
				t.Errorf("%s: %s of a server's error is there", name, secret)
			}
		}
	}
}

// When the client has gone, reading the servers may stop.
func TestServersAreReadInTheContextOfTheRequest(t *testing.T) {
	var given context.Context
	p := page.New(page.Site{}, page.Source{
		Orders: &orders{}, Person: func(*http.Request) page.Person { return page.Person{} },
		Names: func() []string { return nil },
		Servers: func(ctx context.Context, _ []string) []page.Server {
			given = ctx
			return nil
		},
		LedgerUp: func() bool { return true }, Think: func(context.Context) func() { return func() {} },
		Recent: func(int) []ledger.Entry { return nil }, Known: func(string) bool { return false }, Now: func() time.Time { return now },
	}, log.NewNopLogger())
	get(t, http.HandlerFunc(p.Index), "/")
	if given != t.Context() {
		t.Error("the servers are read in another context than the request's")
	}
}

// TestTheResumeCommandNamesTheWebhooksListener: the webhook may have a listener of its own, with a
// scheme of its own.
func TestTheResumeCommandNamesTheWebhooksListener(t *testing.T) {
	for configured, want := range map[string]string{
		"http://pg2.example:10188": "http://pg2.example:10188/", "http://:10188": "http://pgbailiff.example:10188/",
		"http://0.0.0.0:10188": "http://pgbailiff.example:10188/", "http://[::]:10188": "http://pgbailiff.example:10188/",
		"http://[::1]:10188": "http://[::1]:10188/", "": "https://pgbailiff.example/pg/",
		"http://%": "https://pgbailiff.example/pg/", "https://:10188": "https://pgbailiff.example:10188/",
	} {
		d := fullPage(t)
		d.WebhookURL = configured
		html := render(t, d)
		if !strings.Contains(html, "&#39;"+want+"-/resume?server=billing&#39;") {
			t.Errorf("%q: the command has no %s", configured, want)
		}
	}
}
