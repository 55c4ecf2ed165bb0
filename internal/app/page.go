package app

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/common/version"

	"github.com/pgbailiff/pgbailiff/internal/page"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// How long the page may take, and how many of the last decisions it shows.
const (
	snapshotTimeout = 5 * time.Second
	pageTimeout     = 2 * snapshotTimeout // with what the policy would do to each session
	pageDecisions   = 200                 // lines of the ledger
)

// pageHandler serves the page of a generation. The time limit is around all of
// it: while the page is made, it asks about sessions.
func (a *app) pageHandler(g *generation, access access) http.Handler {
	load := func(ctx context.Context) (page.Data, error) { return a.pageData(ctx, g, access), nil }
	h := page.Handler(load, a.logger)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
		defer cancel()
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}

// pageData is what the page shows of a generation: it reads every server, as a
// scrape does, but with the statements' texts.
func (a *app) pageData(ctx context.Context, g *generation, access access) page.Data {
	cfg, limits, now := g.cfg, g.cfg.Remediation.Limits, time.Now()
	data := page.Data{
		Servers:       make([]page.Server, len(cfg.Servers)),
		Mode:          string(cfg.Remediation.Mode),
		Preview:       preview(g.remediator),
		SeverityLabel: cfg.Remediation.Policy.SeverityLabel,
		Severities:    ladder(cfg.Remediation.Policy.Severities),
		Decisions:     a.ledger.Recent(pageDecisions),
		MinDuration:   time.Duration(cfg.Collector.MinDuration).Seconds(),
		Limit:         limits.Actions,
		Window:        time.Duration(limits.Window),
		Text:          cfg.Collector.Text,
		Version:       version.Version,
		Now:           now,
	}
	if cfg.Webhook.ListenAddress != "" {
		data.WebhookURL = access.webhook.scheme() + "://" + cfg.Webhook.ListenAddress
	}
	ctx, cancel := context.WithTimeout(ctx, snapshotTimeout)
	defer cancel()
	var all sync.WaitGroup
	for i, sc := range cfg.Servers {
		all.Go(func() {
			snapshot, err := g.servers[sc.Name].Snapshot(ctx, session.SnapshotOptions{
				MinAge: data.MinDuration, MaxSessions: cfg.Collector.MaxSessions, Text: true,
			})
			data.Servers[i] = page.Server{
				Name: sc.Name, Snapshot: snapshot, Err: err,
				Suspended: a.ledger.Suspended(sc.Name), Spent: a.ledger.Spent(sc.Name, time.Duration(limits.Window), now),
			}
		})
	}
	all.Wait()
	return data
}

// preview tells what an alert about a session would lead to. The alert names it by
// its transaction or, without one, by its query.
func preview(r *remediation.Remediator) func(context.Context, session.Session, map[string]string) remediation.Preview {
	return func(ctx context.Context, s session.Session, labels map[string]string) remediation.Preview {
		fence := session.Fence{Server: s.Server, PID: s.PID, BackendStart: s.BackendStart, XactStart: s.XactStart}
		if s.XactStart.IsZero() {
			fence.QueryStart = s.QueryStart
		}
		return r.Preview(ctx, remediation.Request{Source: remediation.SourceAlert, Labels: labels, Fence: fence})
	}
}

// ladder returns the severities from the mildest action to the hardest.
func ladder(severities map[string]policy.Action) []string {
	hardness := func(severity string) int { return slices.Index(policy.Actions(), severities[severity]) }
	return slices.SortedFunc(maps.Keys(severities), func(a, b string) int {
		return cmp.Or(cmp.Compare(hardness(a), hardness(b)), cmp.Compare(a, b))
	})
}
