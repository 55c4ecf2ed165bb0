package remediation_test

// In this file: what the tests of replicas share. Replicas are Remediators with
// everything of their own but the ledger's database and the servers.

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/ledger/pgledger"
	"github.com/pgbailiff/pgbailiff/internal/metricstest"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// replicas share the ledger in a database.
type replicas struct {
	database *pgtest.Server
	patience time.Duration // after which an owner is gone
	all      []*testRemediator
	signals  *signals
}

// newReplicas makes two of them. The ledger's database may be the watched server.
func newReplicas(t testing.TB, database, srv *pgtest.Server, opts ...option) *replicas {
	t.Helper()
	if err := pgledger.Migrate(t.Context(), ledger.Postgres{DSN: database.DSN("postgres")}); err != nil {
		t.Fatal(err)
	}
	r := &replicas{database: database, patience: time.Minute, signals: &signals{sent: map[string]int{}}}
	for _, name := range []string{"pod-a", "pod-b"} {
		r.add(t, name, srv, opts...)
	}
	return r
}

// add adds a replica.
func (r *replicas) add(t testing.TB, name string, srv *pgtest.Server, opts ...option) *testRemediator {
	t.Helper()
	store, err := pgledger.Open(t.Context(), pgledger.Options{
		Config: ledger.Config{Postgres: ledger.Postgres{DSN: r.database.DSN("postgres")}}, Replica: name,
		Patience: func() time.Duration { return r.patience }, Logger: log.NewNopLogger(), Metrics: ledger.NewMetrics(nil),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &testRemediator{logger: log.With(log.NewLogfmtLogger(t.Output()), "replica", name), over: store}
	b.settings = remediation.Settings{
		Config: remediation.Config{
			Mode: remediation.ModeEnforce, Grace: model.Minute, VerifyTimeout: model.Minute, ApprovalTimeout: model.Hour,
			Limits: ledger.Limits{Actions: 1000, Window: model.Minute, SuspendAfter: 10000, SuspendWindow: model.Minute},
		},
		Policy:  compile(t),
		Servers: map[string]remediation.Server{"orders": newServer(t, srv, "orders", "monsig")},
		Text:    func(q string) string { return q },
	}
	for _, o := range opts {
		o(&b.settings)
	}
	b.settings.Servers["orders"] = &counted{b.settings.Servers["orders"], r.signals}
	b.start()
	r.all = append(r.all, b)
	return b
}

// deliver gives the same alerts to all replicas at once, and returns the results of
// each of them. They must be final.
func (r *replicas) deliver(t testing.TB, alerts ...labels) [][]remediation.Result {
	t.Helper()
	results := r.give(t, alerts...)
	for _, of := range results {
		if repeatHelps(of) {
			t.Errorf("a repeat can help: %+v", of)
		}
	}
	return results
}

// give is deliver, with whatever result.
func (r *replicas) give(t testing.TB, alerts ...labels) [][]remediation.Result {
	t.Helper()
	results := make([][]remediation.Result, len(r.all))
	now := time.Now()
	var all sync.WaitGroup
	for i, b := range r.all {
		all.Go(func() { results[i] = b.remediate(t, now, alerts...) })
	}
	all.Wait()
	return results
}

// lines are those of the ledger, oldest first.
func (r *replicas) lines(t testing.TB) []ledger.Entry {
	t.Helper()
	var all []ledger.Entry
	for _, text := range pgtest.Value[[]string](t, r.database, "select coalesce(array_agg(entry::text order by seq), '{}') from pgbailiff.entries") {
		var line ledger.Entry
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		all = append(all, line)
	}
	return all
}

// checkSteps holds what the claim promises: each step is signalled at most once, each
// intent has one outcome, and each signal has an intent. A step of which nobody knows
// whether it was signalled may be begun again.
func (r *replicas) checkSteps(t testing.TB) {
	t.Helper()
	open, signalled := map[string]policy.Action{}, map[string]string{}
	sent := 0
	for _, line := range r.lines(t) {
		switch {
		case line.Event == ledger.EventIntent:
			if open[line.ID] != "" || line.SystemIdentifier == "" || line.Replica == "" {
				t.Errorf("this is no intent: %+v", line)
			}
			open[line.ID] = line.Action
		case line.ID == "" || line.Event != ledger.EventOutcome:
		case open[line.ID] == "":
			t.Errorf("this outcome has no intent: %+v", line)
		default:
			line.Action = open[line.ID] // the signal's, and not the order's
			delete(open, line.ID)
			if !line.Signalled {
				continue
			}
			sent++
			step := fmt.Sprint(line.Step())
			if other := signalled[step]; other != "" && line.Outcome != ledger.Failed {
				t.Errorf("the step %s was signalled by the intents %s and %s", step, other, line.ID)
			}
			signalled[step] = line.ID
		}
	}
	if len(open) != 0 {
		t.Errorf("intents without an outcome: %v", open)
	}
	if n := r.signals.total(); n != sent {
		t.Errorf("%d signals were sent, and the ledger has %d", n, sent)
	}
}

// counted is the sum over the replicas.
func (r *replicas) counted(t testing.TB, series string) (n float64) {
	t.Helper()
	for _, b := range r.all {
		n += metricstest.Value(t, b.registry, series)
	}
	return n
}

// signals counts those that all replicas have sent, by pid and verb.
type signals struct {
	mu   sync.Mutex
	sent map[string]int
}

func (s *signals) add(pid int32, verb session.Verb) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent[fmt.Sprint(pid, " ", verb)]++
}

func (s *signals) of(pid int, verb session.Verb) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent[fmt.Sprint(pid, " ", verb)]
}

func (s *signals) total() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range s.sent {
		n += of
	}
	return n
}

// counted is a server whose signals are counted.
type counted struct {
	remediation.Server
	signals *signals
}

func (c *counted) Signal(ctx context.Context, verb session.Verb, f session.Fence) (session.Signalled, error) {
	answer, err := c.Server.Signal(ctx, verb, f)
	if err == nil && answer.Verdict == session.VerdictSignalled {
		c.signals.add(f.PID, verb)
	}
	return answer, err
}
