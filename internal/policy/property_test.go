package policy_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

const trials = 2_000

// dice makes random alerts, rules and sessions.
type dice struct{ *rand.Rand }

func roll(t *testing.T) dice {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return dice{rand.New(rand.NewPCG(seed, 0))}
}

func oneOf[T any](d dice, from ...T) T { return from[d.IntN(len(from))] }

var labelNames = []string{
	"severity", "alertname", "server", "pid", "backend_start", "datname", "usename", "application_name", "client_addr",
	"state", "wait_event_type", "wait_event", "query_id", "command", "query", "superuser", "backend_type", "leader_pid", "own",
}

var labelValues = []string{
	"", "warning", "critical", "page", "info", "app", "postgres", "etl", "checkout", "pg_dump", "pgBackRest [backup]", "barman", "pg_repack",
	"SELECT", "VACUUM", "REINDEX", "CREATE", "CLUSTER", "active", "idle", "Client", "SyncRep", "client backend", "false", "shop", "orders", "42",
}

func (d dice) labels() map[string]string {
	alert := map[string]string{}
	for range d.IntN(8) {
		alert[oneOf(d, labelNames...)] = oneOf(d, labelValues...)
	}
	return alert
}

// rules makes a policy of random rules. Many matchers are on the label, but none
// of them names a value of it.
func (d dice) rules(t *testing.T, unnamed string) *policy.Policy {
	t.Helper()
	var rules []policy.RuleConfig
	for i := range d.IntN(4) {
		r := policy.RuleConfig{Name: fmt.Sprint("rule ", i), Action: oneOf(d, policy.Actions()...)}
		for range 1 + d.IntN(3) {
			label, op, value := oneOf(d, labelNames...), oneOf(d, "=", "=~", "!=", "!~"), oneOf(d, labelValues...)
			if d.IntN(2) == 0 && unnamed != "" {
				label = unnamed
			}
			if d.IntN(3) == 0 || label == unnamed && (op == "=" || op == "=~") {
				op, value = "=~", oneOf(d, ".*", ".+", "(?s).*", value+"|.*", ".+|"+value, "[^x]*", "")
			}
			r.Matchers = append(r.Matchers, fmt.Sprintf("%s%s%q", label, op, value))
		}
		rules = append(rules, r)
	}
	return compile(t, rules...)
}

func (d dice) session() session.Found {
	s := client(
		state(oneOf(d, session.States()...)),
		query(oneOf(d, "SELECT 1", "VACUUM", "reindex table t", "/* a */ CREATE INDEX CONCURRENTLY i ON t (id)", "COPY t FROM STDIN", "", "select pg_backup_start('')")),
		named(oneOf(d, "checkout", "pg_dump", "pgBackRest [backup]", "barman", "pg_repack", "")),
		waiting(oneOf(d, "", "Client", "IPC", "Lock"), oneOf(d, "", "ClientRead", "ClientWrite", "tuple")),
	)
	s.Usename, s.Superuser = oneOf(d, "app", "etl", "postgres"), session.FactOf(d.IntN(3) == 0)
	return s
}

// Whatever the rules, a session of the first rungs gets no action.
func TestNoRulesLiftTheFirstRungs(t *testing.T) {
	d := roll(t)
	for range trials {
		s := d.session()
		oneOf(d,
			func() {
				s.BackendType = oneOf(d, "", "walsender", "autovacuum worker", "background worker", "parallel worker")
			},
			func() { s.LeaderPID = s.PID + 1 },
			func() { s.Own = session.Yes },
			func() { s.State = session.StateDisabled },
			func() { s.BackendStart = time.Time{} },
			func() { s.WaitEvent = "SyncRep" },
		)()
		alert := d.labels()
		if got := d.rules(t, "").Decide(alert, policy.NewSubject(s)); !got.Refused() || got.Then != "" || got.Reason == "" {
			t.Fatalf("alert %v, session %+v: %+v", alert, s, got)
		}
		if _, no := policy.AlwaysProtected(policy.NewSubject(s)); !no && s.WaitEvent != "SyncRep" {
			t.Fatalf("session %+v is not always protected", s)
		}
	}
}

// Whatever the labels of the alert, and whatever the rules that do not name the
// session, a protected session gets no action.
func TestRulesThatDoNotNameTheSessionLiftNothing(t *testing.T) {
	for name, p := range map[string]struct {
		label   string
		protect func(dice, *session.Found)
	}{
		"superuser": {"usename", func(_ dice, s *session.Found) { s.Superuser, s.Usename = session.Yes, "postgres" }},
		"backup by its name": {"application_name", func(d dice, s *session.Found) {
			s.ApplicationName = oneOf(d, "pg_dump", "pg_dumpall", "pg_basebackup", "pgBackRest [backup]", "barman", "wal-g")
		}},
		"backup by its statement": {"application_name", func(d dice, s *session.Found) {
			s.Query = oneOf(d, "select pg_backup_start('x')", "SELECT pg_start_backup('x')", "/* x */ select * from pg_backup_stop()")
		}},
		"maintenance": {"command", func(d dice, s *session.Found) {
			s.State = session.StateActive
			s.Query = oneOf(d, "VACUUM", "reindex table t", "/* c */ cluster", "create unique index concurrently i on t (id)", "select 1; vacuum", "/* cut")
		}},
		"pg_repack": {"command", func(_ dice, s *session.Found) { s.ApplicationName = "pg_repack" }},
	} {
		t.Run(name, func(t *testing.T) {
			d := roll(t)
			for range trials {
				s, alert := d.session(), d.labels()
				p.protect(d, &s)
				if got := d.rules(t, p.label).Decide(alert, policy.NewSubject(s)); !got.Refused() || got.Then != "" || got.Reason == "" {
					t.Fatalf("alert %v, session %+v: %+v", alert, s, got)
				}
			}
		})
	}
}

// A decision is either a refusal that says why, or an action with its signals.
func TestDecisionIsRefusalWithReasonOrActionWithSignals(t *testing.T) {
	d := roll(t)
	refusals := map[policy.Reason]bool{}
	for _, r := range policy.RefusalReasons() {
		refusals[r] = true
	}
	for range trials {
		s, alert := d.session(), d.labels()
		got := d.rules(t, "").Decide(alert, policy.NewSubject(s))
		whole := got.Reason == policy.ReasonRule && got.Rule != "" || got.Reason == policy.ReasonSeverity && got.Rule == ""
		switch {
		case got.Refused():
			whole = refusals[got.Reason] && got.Then == "" && got.Detail != ""
		case got.Action == policy.Cancel:
			whole = whole && got.First == session.Cancel && got.Then == "" && s.State != session.StateIdleInXact
		case got.Action == policy.Terminate:
			whole = whole && got.First == session.Terminate && got.Then == ""
		case got.Action == policy.CancelThenTerminate:
			whole = whole && (got.First == session.Terminate) == (got.Then == "")
		default:
			whole = false
		}
		if !whole {
			t.Fatalf("alert %v, session %+v: %+v", alert, s, got)
		}
	}
}
