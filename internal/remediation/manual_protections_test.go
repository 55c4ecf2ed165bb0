package remediation_test

// In this file: what protects a session from people, and what a person may lift.

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// named is the fence of an order with the identity of these labels.
func named(t testing.TB, l labels) session.Fence {
	t.Helper()
	f, err := session.ParseFence(l)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// ordersNothing carries out the order, which must be refused for the reason, and
// checks that the ledger has one line, which says so. It returns the line.
func (b *testRemediator) ordersNothing(t testing.TB, o policy.Order, f session.Fence, reason policy.Reason) ledger.Entry {
	t.Helper()
	got, lines := b.ordered(t, o, f)
	check(t, got, o.Action, ledger.Refused, reason)
	checkLines(t, lines, "refused "+string(reason))
	if got.Detail == "" || got.Signalled {
		t.Errorf("the result is %+v", got)
	}
	return lines[len(lines)-1]
}

func TestAPersonLiftsAProtectionByItsName(t *testing.T) {
	srv := pgtest.Start(t)
	srv.Exec(t, "create table t (i int)", "alter table t owner to app")
	srv.IdleInTransaction(t, "app", "lock table t")
	none := policy.RuleConfig{Name: "hands off", Matchers: []string{`usename="app2"`}, Action: policy.None}
	b := newTestRemediator(t, srv, "super1", rules(t, none))
	for name, tc := range map[string]struct {
		open   func() *pgtest.Client
		action policy.Action
		reason policy.Reason
		also   []policy.Reason // that protect it as well
		rule   string
	}{
		"a superuser": {
			open:   func() *pgtest.Client { return srv.Run(t, "super1", "select pg_sleep(60)") },
			action: policy.Cancel, reason: policy.ReasonProtectedUser,
		},
		"pg_dump": {
			open:   func() *pgtest.Client { return srv.Run(t, "app", "select pg_sleep(60)", pgtest.AppName("pg_dump")) },
			action: policy.CancelThenTerminate, reason: policy.ReasonProtectedBackup,
		},
		"a backup that looks idle": {
			open: func() *pgtest.Client {
				c := srv.Open(t, "super1")
				if srv.Major() < 15 {
					c.Exec(t, "select pg_start_backup('b', true, false)")
				} else {
					c.Exec(t, "select pg_backup_start('b', true)")
				}
				return c
			},
			action: policy.Terminate, reason: policy.ReasonProtectedBackup, also: []policy.Reason{policy.ReasonProtectedUser},
		},
		"VACUUM": {
			open:   func() *pgtest.Client { return srv.Blocked(t, "app", "vacuum t") },
			action: policy.Cancel, reason: policy.ReasonProtectedMaintenance,
		},
		"a rule that says none": {
			open:   func() *pgtest.Client { return srv.Run(t, "app2", "select pg_sleep(60)") },
			action: policy.Terminate, reason: policy.ReasonRule, rule: "hands off",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := tc.open()
			f, stays := seen(t, c), untouched(t, srv, c.PID())
			others := append([]policy.Reason{policy.ReasonCannotCancel, policy.ReasonNoIdentity, "everything"}, tc.also...)
			for _, r := range policy.Liftable() {
				if r != tc.reason {
					others = append(others, r)
				}
			}
			for _, lift := range [][]policy.Reason{tc.also, others} {
				if line := b.ordersNothing(t, orders(tc.action, lift...), f, tc.reason); line.Rule != tc.rule {
					t.Errorf("the ledger says %+v", line)
				}
			}
			stays()
			got, lines := b.ordered(t, orders(tc.action, append(tc.also, tc.reason)...), f)
			if got.Reason != policy.ReasonManual || got.Rule != tc.rule || got.Outcome != ledger.Cancelled && got.Outcome != ledger.Terminated {
				t.Errorf("lifted: %+v", got)
			}
			if !strings.Contains(lines[0].Detail, string(tc.reason)) || lines[0].Event != ledger.EventIntent {
				t.Errorf("the ledger does not say what is lifted: %+v", lines)
			}
			if got.Outcome == ledger.Terminated && c.Exists(t) {
				t.Error("the session is still there")
			}
			if got.Outcome == ledger.Cancelled && sqlstate(c.Wait(t)) != "57014" {
				t.Errorf("the client saw %v", c.Wait(t))
			}
		})
	}
	// PostgreSQL itself protects a superuser's session from us.
	root := srv.Run(t, "super1", "select pg_sleep(60)")
	stays := untouched(t, srv, root.PID())
	got, lines := newTestRemediator(t, srv, "monsig").ordered(t, orders(policy.Terminate, policy.ReasonProtectedUser), seen(t, root))
	check(t, got, policy.Terminate, ledger.Refused, policy.ReasonPermissionDenied)
	checkLines(t, lines, "intent terminate", "refused permission_denied")
	stays()
}

// neverLifted orders all that a person can, and checks that it is refused and that
// nothing reaches the session.
func (b *testRemediator) neverLifted(t *testing.T, srv *pgtest.Server, f session.Fence, reason policy.Reason) {
	t.Helper()
	stays := untouched(t, srv, int(f.PID))
	b.refusesAll(t, f, reason)
	stays()
}

// refusesAll orders all that a person can, and checks that it is refused.
func (b *testRemediator) refusesAll(t *testing.T, f session.Fence, reason policy.Reason) {
	t.Helper()
	for _, action := range []policy.Action{policy.Cancel, policy.Terminate, policy.CancelThenTerminate} {
		for _, lift := range [][]policy.Reason{nil, policy.RefusalReasons()} {
			b.ordersNothing(t, orders(action, lift...), f, reason)
		}
	}
}

// Even for a role that PostgreSQL allows everything.
func TestAPersonNeverLiftsWhatIsAlwaysProtected(t *testing.T) {
	srv := pgtest.Start(t, "parallel_setup_cost=0", "parallel_tuple_cost=0", "min_parallel_table_scan_size=0")
	b := newTestRemediator(t, srv, "super1", liftsAll(t, policy.Terminate))
	t.Run("a walsender", func(t *testing.T) {
		b.neverLifted(t, srv, seen(t, srv.WalSender(t)), policy.ReasonProtectedBackend)
	})
	t.Run("our own session", func(t *testing.T) {
		const ours = "select min(pid) from pg_stat_activity where application_name = 'pgbailiff' and usename = 'super1' and state = 'idle'"
		newServer(t, srv, "replica", "super1") // the session of another pgbailiff, which does nothing now
		srv.WaitFor(t, "select count(*) > 1 from pg_stat_activity where application_name = 'pgbailiff' and usename = 'super1' and state = 'idle'")
		pid := pgtest.Value[int](t, srv, ours)
		before := pgtest.Value[string](t, srv, "select backend_start::text from pg_stat_activity where pid = $1", pid)
		for _, period := range []string{"state_change", "query_start"} {
			for _, action := range []policy.Action{policy.Cancel, policy.Terminate} {
				f := named(t, backendIdentity(t, srv, pid, period))
				b.ordersNothing(t, orders(action, policy.RefusalReasons()...), f, policy.ReasonProtectedBackend)
			}
		}
		if after := pgtest.Value[string](t, srv, "select backend_start::text from pg_stat_activity where pid = $1", pid); after != before {
			t.Error("our session was ended")
		}
	})
	t.Run("a parallel worker", func(t *testing.T) {
		srv.Exec(t, "create table p as select generate_series(1, 5000) i", "alter table p set (parallel_workers = 1)", "grant select on p to app")
		leader := srv.Run(t, "app", "select count(*) from p where pg_sleep(0.1) is not null")
		const worker = "select pid from pg_stat_activity where leader_pid = $1 and state = 'active'"
		srv.WaitFor(t, "select exists ("+worker+")", leader.PID())
		pid := pgtest.Value[int](t, srv, worker, leader.PID())
		b.neverLifted(t, srv, named(t, backendIdentity(t, srv, pid, "query_start")), policy.ReasonProtectedBackend)
		if !leader.Running() {
			t.Error("its leader was hit")
		}
	})
	t.Run("a server process", func(t *testing.T) {
		pid := pgtest.Value[int](t, srv, "select pid from pg_stat_activity where backend_type = 'checkpointer'")
		f := named(t, backendIdentity(t, srv, pid))
		f.StateChange = f.BackendStart // it has none; a fence that says so is refused before it is looked at
		b.ordersNothing(t, orders(policy.Terminate, policy.RefusalReasons()...), f, policy.ReasonProtectedBackend)
		if pgtest.Value[int](t, srv, "select pid from pg_stat_activity where backend_type = 'checkpointer'") != pid {
			t.Error("it was ended")
		}
	})
	t.Run("a session that we may not see", func(t *testing.T) {
		c := srv.Run(t, "app", "select pg_sleep(60)")
		newTestRemediator(t, srv, "sig", liftsAll(t, policy.Terminate)).neverLifted(t, srv, seen(t, c), policy.ReasonNotVisible)
	})
	t.Run("a session without track_activities", func(t *testing.T) {
		c := srv.Open(t, "super1", func(config *pgx.ConnConfig) { config.RuntimeParams["track_activities"] = "off" })
		c.Exec(t, "begin; select 1")
		f := named(t, backendIdentity(t, srv, c.PID()))
		f.XactStart = f.BackendStart
		b.neverLifted(t, srv, f, policy.ReasonNotVisible)
	})
}

func TestAPersonNeverCancelsACommitThatWaitsForAStandby(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "super1", liftsAll(t, policy.Terminate))
	srv.Exec(t, "create table t (i int)", "grant all on t to app",
		"alter system set synchronous_standby_names = 'nobody'", "select pg_reload_conf()")
	c := commitThatWaits(t, srv)
	c.Await(t, "wait_event = 'SyncRep'")
	b.refusesAll(t, named(t, backendIdentity(t, srv, c.PID(), "query_start")), policy.ReasonSyncRep)
	if !c.Running() {
		t.Error("the commit does not wait any more")
	}
	// A pending cancel would take effect before anything else.
	srv.Exec(t, "alter system reset synchronous_standby_names", "select pg_reload_conf()")
	if err := c.Wait(t); err != nil {
		t.Error(err)
	}
}
