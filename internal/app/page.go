package app

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/common/version"

	"github.com/pgbailiff/pgbailiff/internal/page"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// What the page may cost, and how many of the last decisions it shows.
const (
	pageTimeout   = 5 * time.Second
	pageDecisions = 200 // lines of the ledger
)

// pageData is what the page shows of a generation: it reads every server, as a
// scrape does, but with the statements' texts.
func (a *app) pageData(ctx context.Context, g *generation, access access) page.Data {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	cfg, limits, now := g.cfg, g.cfg.Remediation.Limits, time.Now()
	data := page.Data{
		Servers:       make([]page.Server, len(cfg.Servers)),
		Mode:          string(cfg.Remediation.Mode),
		Judge:         judge(ctx, g.remediator),
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

// judge tells what an alert about a session would lead to. The alert names it by
// its transaction or, without one, by its query.
func judge(ctx context.Context, r *remediation.Remediator) func(session.Session, map[string]string) remediation.Preview {
	return func(s session.Session, labels map[string]string) remediation.Preview {
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
