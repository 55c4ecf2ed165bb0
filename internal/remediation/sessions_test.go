package remediation_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// backendIdentity is identity for any backend, and for any number of periods.
// PostgreSQL itself writes the times.
func backendIdentity(t testing.TB, srv *pgtest.Server, pid int, periods ...string) labels {
	t.Helper()
	l := labels{"alertname": "Test", "server": "orders", "pid": strconv.Itoa(pid)}
	for _, label := range append(periods, "backend_start") {
		l[label] = pgtest.Value[string](t, srv, fmt.Sprintf(
			`select coalesce(to_char(%s at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '')
			from pg_stat_get_activity($1) s where s.pid = $1`, label), pid)
		if l[label] == "" {
			t.Fatalf("pid %d has no %s", pid, label)
		}
	}
	return l
}

// pidOnly are the labels of an alert on another exporter's metrics.
func pidOnly(pid int) labels {
	return labels{"alertname": "Test", "server": "orders", "pid": strconv.Itoa(pid)}
}

// sendsNothing carries out the alert at both severities and checks that nothing
// was signalled nor meant to be: the ledger has one line each, which says so. It
// returns the last line.
func (b *testRemediator) sendsNothing(t testing.TB, alert labels, outcome ledger.Outcome, reason policy.Reason) ledger.Entry {
	t.Helper()
	var line ledger.Entry
	for _, severity := range []string{"warning", "critical"} {
		results, lines := b.recorded(t, time.Now(), alert.with("severity", severity))
		if got := results[0]; got.Outcome != outcome || got.Reason != reason || got.Signalled {
			t.Errorf("%s: got %+v; want %s, %s", severity, got, outcome, reason)
		}
		if len(lines) != 1 {
			t.Fatalf("%s: the ledger has the lines %+v", severity, lines)
		}
		line = lines[0]
		if line.Event != ledger.EventOutcome || line.Outcome != outcome || line.Reason != reason ||
			line.Signalled || line.ID != "" || line.Alertname != "Test" || line.Fingerprint == "" || line.Detail == "" {
			t.Errorf("%s: the ledger says %+v", severity, line)
		}
		if pid := alert["pid"]; line.Server != "orders" || reason != policy.ReasonBadLabel && reason != policy.ReasonNoPID && strconv.Itoa(int(line.PID)) != pid {
			t.Errorf("%s: the ledger says %+v of pid %s", severity, line, pid)
		}
	}
	return line
}

// untouched returns a check that the backend still does the same, and that no
// signal is pending: before it logs its memory contexts, as the check asks it to,
// it handles whatever else is pending.
func untouched(t testing.TB, srv *pgtest.Server, pid int) (check func()) {
	t.Helper()
	const doing = `select coalesce(concat_ws(' ', s.backend_start, s.query_start, s.state, s.query), '')
		from pg_stat_get_activity($1) s where s.pid = $1`
	asked := fmt.Sprintf("logging memory contexts of PID %d", pid)
	before, answers := pgtest.Value[string](t, srv, doing, pid), strings.Count(srv.Log(), asked)
	return func() {
		t.Helper()
		if !pgtest.Value[bool](t, srv, "select pg_log_backend_memory_contexts($1)", pid) {
			t.Fatalf("pid %d is gone", pid)
		}
		proctest.Until(t, fmt.Sprintf("pid %d to look at its signals", pid), func() bool {
			return strings.Count(srv.Log(), asked) > answers
		})
		answers++
		if after := pgtest.Value[string](t, srv, doing, pid); after != before {
			t.Errorf("pid %d was %s\nand is %s", pid, before, after)
		}
	}
}

// liftsAll is a rule that lifts every protection that a rule can lift.
func liftsAll(t testing.TB, action policy.Action) option {
	return rules(t, policy.RuleConfig{
		Name: "lifts all",
		Matchers: []string{
			`usename=~"postgres|super1|repl|app|app2|etl|mon|sig|monsig|nopriv"`,
			`application_name=~"pg.*|walreceiver|standby.*|batch|crowd|payroll|target"`,
			`command=~"SELECT|INSERT|UPDATE|DELETE|WITH|VALUES|COPY|DO|CALL|BEGIN|COMMIT|ROLLBACK|LOCK|SET|SHOW|CREATE|ALTER|DROP|ANALYZE|VACUUM|REINDEX|CLUSTER|START_REPLICATION"`,
		},
		Action: action,
	})
}

// permissive are Remediators that refuse only what is always protected: they have
// rules that lift everything else, and two of them the role of a
// superuser, so that PostgreSQL does not protect anybody either.
func permissive(t testing.TB, srv *pgtest.Server) map[string]*testRemediator {
	t.Helper()
	return map[string]*testRemediator{
		"as it comes":    newTestRemediator(t, srv, "monsig"),
		"lifts, cancels": newTestRemediator(t, srv, "super1", liftsAll(t, policy.Cancel)),
		"lifts, ends":    newTestRemediator(t, srv, "super1", liftsAll(t, policy.CancelThenTerminate)),
	}
}
