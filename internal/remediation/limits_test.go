package remediation_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/metricstest"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// crowd starts this many sessions that sleep.
func crowd(t testing.TB, srv *pgtest.Server, n int) []*pgtest.Client {
	t.Helper()
	all := make([]*pgtest.Client, n)
	for i := range all {
		all[i] = srv.Run(t, "app", "select pg_sleep(600)", pgtest.AppName("crowd"))
	}
	return all
}

// crowdAlerts are alerts for the queries of the whole crowd.
func crowdAlerts(t testing.TB, srv *pgtest.Server, severity string) []labels {
	t.Helper()
	return alertsSeenBy(t, srv.Connect(t, "mon"), severity)
}

// alertsSeenBy reads them on a connection.
func alertsSeenBy(t testing.TB, conn *pgx.Conn, severity string) []labels {
	t.Helper()
	rows, err := conn.Query(t.Context(), `select pid, backend_start, query_start from pg_stat_activity
		where application_name = 'crowd' and state = 'active'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []labels
	for rows.Next() {
		var pid int
		var backendStart, queryStart time.Time
		if err := rows.Scan(&pid, &backendStart, &queryStart); err != nil {
			t.Fatal(err)
		}
		all = append(all, labels{
			"alertname": "Test", "severity": severity, "server": "orders", "pid": strconv.Itoa(pid),
			"backend_start": session.FormatTime(backendStart), "query_start": session.FormatTime(queryStart),
		})
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// moveLedger goes on in a file at a path that the test knows.
func (b *testRemediator) moveLedger(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "moved.jsonl")
	if err := b.ledger.Reopen(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	return path
}

// restart is the Remediator after a restart: what it knows comes from its ledger.
func (b *testRemediator) restart(t *testing.T, path string) {
	t.Helper()
	if err := b.ledger.Close(); err != nil {
		t.Fatal(err)
	}
	reopened, err := ledger.Open(ledger.Config{File: path}, log.NewNopLogger(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reopened.Close() })
	b.ledger = reopened
	b.quiet()
}

// quiet leaves out the log, which would be long.
func (b *testRemediator) quiet() {
	b.logger = log.NewNopLogger()
	b.start()
}

// limits changes them, as a reload does.
func (b *testRemediator) limits(l ledger.Limits) {
	b.settings.Config.Limits = l
	b.apply(b.settings)
}

const suspended = "pgbailiff_remediation_suspended{server=orders}"

// A wrong rule orders the end of every session at once.
func TestBadRuleEndsFewSessions(t *testing.T) { badRule(t, 50) }

func badRule(t *testing.T, sessions int) {
	t.Helper()
	const actions, suspendAfter = 10, 12
	srv := pgtest.Start(t, "max_connections=600")
	limits := ledger.Limits{Actions: actions, Window: model.Hour, SuspendAfter: suspendAfter, SuspendWindow: 2 * model.Hour}
	b := newTestRemediator(t, srv, "monsig", liftsAll(t, policy.Terminate), func(s *remediation.Settings) {
		s.Config.Limits, s.Config.VerifyTimeout = limits, 30*model.Second
	})
	b.quiet()
	path := b.moveLedger(t)
	victims := crowd(t, srv, sessions)
	alerts := crowdAlerts(t, srv, "warning")
	alive := func() int {
		return pgtest.Value[int](t, srv, "select count(*)::int from pg_stat_activity where application_name = 'crowd'")
	}

	// step carries out the alerts and checks how many end how, and who is left.
	left, signals := sessions, 0
	step := func(want map[string]int, wantSuspended float64) {
		t.Helper()
		got := map[string]int{}
		for _, r := range b.remediate(t, time.Now(), alerts...) {
			how := strings.Trim(string(r.Outcome)+" "+string(r.Reason), " ")
			// While the last signals before a suspension are under way it is not
			// declared: that is over the budget.
			if want["refused suspended"] > 0 && how == "refused over_budget" {
				how = "refused suspended"
			}
			got[how]++
		}
		for how, n := range want {
			if got[how] != n {
				t.Errorf("ended %v, want %v", got, want)
			}
		}
		left -= want["terminated rule"]
		signals += want["terminated rule"]
		if n := alive(); n != left {
			t.Errorf("%d sessions are left, want %d", n, left)
		}
		if n := b.ledger.Spent("orders", time.Hour, time.Now()); n != signals {
			t.Errorf("%d signals are spent, want %d", n, signals)
		}
		if is := metricstest.Value(t, b.registry, suspended); is != wantSuspended {
			t.Errorf("%s is %v", suspended, is)
		}
	}

	step(map[string]int{"terminated rule": actions, "refused over_budget": sessions - actions}, 0)
	b.restart(t, path)
	step(map[string]int{"gone": actions, "refused over_budget": sessions - actions}, 0)

	limits.Actions = 100 // the configuration allows more
	b.limits(limits)
	step(map[string]int{"gone": actions, "terminated rule": 2, "refused suspended": sessions - suspendAfter}, 1)
	limits.SuspendAfter = 1000 // neither a restart nor a reload resumes
	b.restart(t, path)
	b.limits(limits)
	step(map[string]int{"gone": suspendAfter, "refused suspended": sessions - suspendAfter}, 1)
	limits.SuspendAfter = 20
	b.limits(limits)

	for _, server := range []string{"billing", ""} {
		if err := b.remediator.Resume(t.Context(), server, ""); !errors.Is(err, remediation.ErrUnknownServer) || metricstest.Value(t, b.registry, suspended) != 1 {
			t.Errorf("resume %q: %v, %s %v", server, err, suspended, metricstest.Value(t, b.registry, suspended))
		}
	}
	if err := b.remediator.Resume(t.Context(), "orders", ""); err != nil || metricstest.Value(t, b.registry, suspended) != 0 {
		t.Fatalf("resume: %v, %s %v", err, suspended, metricstest.Value(t, b.registry, suspended))
	}
	// What was done before does not count towards the next suspension, but
	// still against the budget.
	b.restart(t, path)
	limits.Actions = 15
	b.limits(limits)
	step(map[string]int{"gone": suspendAfter, "terminated rule": 3, "refused over_budget": sessions - 15}, 0)
	limits.Actions = 100
	b.limits(limits)
	step(map[string]int{"gone": 15, "terminated rule": 17, "refused suspended": sessions - 32}, 1)

	// The ledger tells the same story, whole.
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for event, want := range map[string]int{"intent": signals, "suspended": 2, "resumed": 1} {
		if got := strings.Count(string(text), `"event":"`+event+`"`); got != want {
			t.Errorf("the ledger has %d lines of %s, want %d", got, event, want)
		}
	}
	thrownOut := func() (n int) {
		for _, c := range victims {
			if !c.Running() {
				n++
			}
		}
		return n
	}
	proctest.Until(t, "the clients to notice", func() bool { return thrownOut() >= signals })
	if n := thrownOut(); n != signals {
		t.Errorf("%d clients were thrown out, want %d", n, signals)
	}
}

// Without a durable intent nothing is signalled.
func TestLedgerThatCannotBeWritten(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig")
	b.restart(t, "/dev/full")
	c, idle := srv.Run(t, "app", "select pg_sleep(60)"), srv.IdleInTransaction(t, "app")
	stays, alsoStays := untouched(t, srv, c.PID()), untouched(t, srv, idle.PID())
	alert := identity(t, c, "warning", "query_start")
	for range 3 {
		results := b.remediate(t, time.Now(), alert, identity(t, idle, "critical", "state_change"))
		if !results[0].Retry || !results[1].Retry {
			t.Fatalf("a repeat cannot help: %+v", results)
		}
		check(t, results[0], policy.Cancel, ledger.Failed, policy.ReasonSeverity)
		check(t, results[1], policy.Terminate, ledger.Failed, policy.ReasonSeverity)
	}
	stays()
	alsoStays()
	if spent := b.ledger.Spent("orders", time.Minute, time.Now()); spent != 0 || len(b.ledger.Recent(10)) != 6 {
		t.Errorf("%d signals are spent, and the ledger says %+v", spent, b.ledger.Recent(10))
	}
	if err := b.remediator.Resume(t.Context(), "orders", ""); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("resume: %v", err)
	}
	b.restart(t, filepath.Join(t.TempDir(), "ledger.jsonl"))
	check(t, b.alert(t, alert), policy.Cancel, ledger.Cancelled, policy.ReasonSeverity)
}
