package app

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/common/version"

	"github.com/pgbailiff/pgbailiff/internal/page"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// How long a page may take, and how long reading a server may take of that.
const (
	snapshotTimeout = 5 * time.Second
	pageTimeout     = 2 * snapshotTimeout // with what the policy would do to each session
)

// pages are the HTML pages for people.
type pages struct{ index, session, confirm, act, approvals, answer http.Handler }

// pageHandlers serves the pages of a generation. The time limit is around all of
// a page that only reads: while it is made, it asks about sessions. An order has
// the limits of an order.
func (a *app) pageHandlers(g *generation, access access) pages {
	p := page.New(a.site(g, access), a.pageSource(g), a.logger)
	limited := func(h http.HandlerFunc) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
			defer cancel()
			h(w, r.WithContext(ctx))
		})
	}
	return pages{
		index: limited(p.Index), session: limited(p.Session), confirm: limited(p.Confirm),
		act: http.HandlerFunc(p.Act), approvals: limited(p.Approvals), answer: http.HandlerFunc(p.Answer),
	}
}

// site is what the pages say of the generation's settings.
func (a *app) site(g *generation, access access) page.Site {
	cfg, limits := g.cfg, g.cfg.Remediation.Limits
	site := page.Site{
		URL:             a.external.String(),
		AlertmanagerURL: cfg.People.AlertmanagerURL,
		Mode:            string(cfg.Remediation.Mode),
		Grace:           time.Duration(cfg.Remediation.Grace),
		SeverityLabel:   cfg.Remediation.Policy.SeverityLabel,
		Severities:      ladder(cfg.Remediation.Policy.Severities),
		MinDuration:     time.Duration(cfg.Collector.MinDuration).Seconds(),
		Limit:           limits.Actions,
		Window:          time.Duration(limits.Window),
		Text:            cfg.Collector.Text,
		Version:         version.Version,
		MostServers:     mostServers,
	}
	if cfg.Webhook.ListenAddress != "" {
		site.WebhookURL = access.webhook.scheme() + "://" + cfg.Webhook.ListenAddress
	}
	return site
}

// pageSource is where the pages get what they show, and where their orders go.
func (a *app) pageSource(g *generation) page.Source {
	names := make([]string, len(g.cfg.Servers))
	for i, sc := range g.cfg.Servers {
		names[i] = sc.Name
	}
	return page.Source{
		Orders: orders{g.remediator, g.previews},
		Person: func(r *http.Request) page.Person { return page.Person(a.person(r)) },
		Names:  func() []string { return names },
		Servers: func(ctx context.Context, names []string) []page.Server {
			ctx, cancel := context.WithTimeout(ctx, snapshotTimeout)
			defer cancel()
			servers := make([]page.Server, len(names))
			eachServer(len(names), func(i int) { servers[i] = a.pageServer(ctx, g, g.readers[names[i]]) })
			return servers
		},
		Think: a.thinking.enter,
		Known: func(server string) bool { return g.server(server) != nil },
		Find: func(ctx context.Context, server string, pid int32) (session.Found, bool, error) {
			ctx, cancel := context.WithTimeout(ctx, snapshotTimeout)
			defer cancel()
			return g.readers[server].Find(ctx, pid)
		},
		Recent:    a.ledger.Recent,
		Suspended: a.ledger.AllSuspended,
		LedgerUp:  a.ledger.Up,
		Now:       time.Now,
	}
}

// orders carries out what people order, and previews for everybody what would be
// done.
type orders struct {
	*remediation.Remediator
	previews *remediation.Remediator
}

func (o orders) Preview(ctx context.Context, req remediation.Request) remediation.Preview {
	return o.previews.Preview(ctx, req)
}

// pageServer reads a server as a scrape does, but with the statements' texts.
func (a *app) pageServer(ctx context.Context, g *generation, server *reader) page.Server {
	snapshot, err := server.Snapshot(ctx, session.SnapshotOptions{
		MinAge: time.Duration(g.cfg.Collector.MinDuration).Seconds(), MaxSessions: g.cfg.Collector.MaxSessions, Text: true,
	})
	return page.Server{
		Name: server.Name(), Snapshot: snapshot, Err: err, Suspended: a.ledger.Suspended(server.Name()),
		Spent: a.ledger.Spent(server.Name(), time.Duration(g.cfg.Remediation.Limits.Window), time.Now()),
	}
}

// ladder returns the severities from the mildest action to the hardest.
func ladder(severities map[string]policy.Action) []string {
	hardness := func(severity string) int { return slices.Index(policy.Actions(), severities[severity]) }
	return slices.SortedFunc(maps.Keys(severities), func(a, b string) int {
		return cmp.Or(cmp.Compare(hardness(a), hardness(b)), cmp.Compare(a, b))
	})
}
