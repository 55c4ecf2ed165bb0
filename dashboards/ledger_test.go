package dashboards_test

import (
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/ledger/pgledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// realLedger is a connection to a ledger in which a replica has written something of
// every kind, just now.
func realLedger(t *testing.T) *pgx.Conn {
	t.Helper()
	s := pgtest.Start(t)
	to := ledger.Postgres{DSN: s.DSN("postgres")}
	if err := pgledger.Migrate(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	store, err := pgledger.Open(t.Context(), pgledger.Options{
		Config: ledger.Config{Postgres: to}, Replica: "pgbailiff-0", Patience: func() time.Duration { return time.Minute },
		Logger: log.NewNopLogger(), Metrics: ledger.NewMetrics(nil),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	writeAll(t, store)
	return s.Connect(t, "postgres")
}

// writeAll writes signals of alerts and of a person, one that is under way, a refusal,
// a suspension and its end, and questions: two that were answered and one that waits.
func writeAll(t *testing.T, store *pgledger.Store) {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	generous := ledger.Limits{Actions: 10, Window: model.Duration(time.Minute), SuspendAfter: 50, SuspendWindow: model.Duration(time.Minute)}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	begin := func(e ledger.Entry, limits ledger.Limits) ledger.Entry {
		t.Helper()
		begun, err := store.Begin(ctx, e, limits)
		if err != nil || begun.Allowance != ledger.Allowed {
			t.Fatalf("%+v: %v", begun, err)
		}
		e.ID = begun.ID
		return e
	}
	end := func(e ledger.Entry, outcome ledger.Outcome) {
		t.Helper()
		e.Outcome, e.Signalled = outcome, true
		must(store.Finish(ctx, e))
	}
	end(begin(entry("orders", 1), generous), ledger.Cancelled)
	byHand := entry("orders", 2)
	byHand.Source, byHand.By, byHand.Comment = ledger.SourceManual, "ann", "ticket 42"
	end(begin(byHand, generous), ledger.Ignored)
	begin(entry("orders", 3), generous)
	refusal := entry("orders", 4)
	refusal.Outcome, refusal.Reason = ledger.Refused, policy.ReasonRule
	must(store.Append(ctx, refusal))

	once := generous
	once.SuspendAfter = 1
	end(begin(entry("bill'ing", 5), once), ledger.Terminated)
	must(store.Resume(ctx, "bill'ing", "ann", now))
	end(begin(entry("bill'ing", 6), once), ledger.Terminated)

	for pid, answer := range map[int32]ledger.Event{7: ledger.EventApproved, 8: ledger.EventDenied, 9: ""} {
		asked := entry("orders", pid)
		asked.Until = now.Add(time.Hour)
		_, asked, err := store.Ask(ctx, asked)
		must(err)
		if answer != "" {
			_, err = store.Answer(ctx, asked.ID, answer, "bob", "ask me on Monday", now)
			must(err)
		}
	}
}

func entry(server string, pid int32) ledger.Entry {
	began := time.Now().Add(-time.Hour)
	id := string('a' + pid)
	return ledger.Entry{
		Time: time.Now(), ID: id, Decision: id, Server: server, SystemIdentifier: "7" + server,
		Target: ledger.FenceTarget(session.Fence{Server: server, PID: pid, BackendStart: began, QueryStart: began}),
		Action: policy.Cancel, Reason: policy.ReasonSeverity,
		Origin: ledger.Origin{Source: ledger.SourceAlert, Alertname: "PgbailiffLongQuery", Severity: "warning"},
		Facts:  ledger.Facts{Datname: "shop", Usename: "reports", ApplicationName: "report", State: session.StateActive},
	}
}
