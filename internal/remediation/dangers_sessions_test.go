package remediation_test

// In this file: sessions whose end would do more harm than good, and sessions that
// our role may not see.

import (
	"strings"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
)

// lifting is a rule with one matcher.
func lifting(t testing.TB, matcher string, action policy.Action) option {
	return rules(t, policy.RuleConfig{Name: "lift", Matchers: []string{matcher}, Action: action})
}

// A session that has started a backup looks plainly idle, and its end would end
// the backup.
func TestBackupIsNotBroken(t *testing.T) {
	srv := pgtest.Start(t)
	start, stop := "select pg_backup_start('nightly', true)", "select pg_backup_stop(false)"
	if srv.Major() < 15 {
		start, stop = "select pg_start_backup('nightly', true, false)", "select pg_stop_backup(false, false)"
		srv.Exec(t, "grant execute on function pg_start_backup, pg_stop_backup(boolean, boolean) to app")
	} else {
		srv.Exec(t, "grant execute on function pg_backup_start, pg_backup_stop to app")
	}
	bailiffs := map[string]*testRemediator{
		"as it comes":         newTestRemediator(t, srv, "monsig"),
		"lifts for the user":  newTestRemediator(t, srv, "monsig", lifting(t, `usename="app"`, policy.CancelThenTerminate)),
		"lifts for a tool":    newTestRemediator(t, srv, "monsig", lifting(t, `application_name!="important"`, policy.Terminate)),
		"lifts by severity":   newTestRemediator(t, srv, "monsig", lifting(t, `severity=~".+"`, policy.Terminate)),
		"lifts for any value": newTestRemediator(t, srv, "monsig", lifting(t, `application_name=~".*"`, policy.Terminate)),
	}
	idle, inTransaction := srv.Open(t, "app"), srv.IdleInTransaction(t, "app")
	idle.Exec(t, start)
	inTransaction.Exec(t, start)
	active := srv.Run(t, "app", start+", pg_sleep(60)")
	for name, b := range bailiffs {
		t.Run(name, func(t *testing.T) {
			b.sendsNothing(t, pidOnly(idle.PID()), ledger.Gone, "")
			for _, label := range []string{"query_start", "state_change"} {
				b.sendsNothing(t, backendIdentity(t, srv, idle.PID(), label), ledger.Gone, "")
			}
			for _, alert := range []labels{
				backendIdentity(t, srv, inTransaction.PID(), "state_change"),
				backendIdentity(t, srv, inTransaction.PID(), "xact_start"),
				backendIdentity(t, srv, active.PID(), "query_start"),
				pidOnly(inTransaction.PID()),
				pidOnly(active.PID()),
			} {
				b.sendsNothing(t, alert, ledger.Refused, policy.ReasonProtectedBackup)
			}
		})
	}
	if !active.Running() {
		t.Error("the statement was hit")
	}
	idle.Exec(t, stop)
	inTransaction.Exec(t, stop) // it would not know of a backup
	inTransaction.Exec(t, "commit")

	b := newTestRemediator(t, srv, "monsig", lifting(t, `application_name="pgtest"`, policy.Terminate))
	check(t, b.alert(t, identity(t, active, "warning", "query_start")), policy.Terminate, ledger.Terminated, policy.ReasonRule)
}

func TestBackupToolIsNotBroken(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestRemediator(t, srv, "monsig", lifting(t, `usename="app"`, policy.Terminate))
	for _, tool := range []string{"pg_dump", "pg_dumpall", "pgBackRest [backup]", "barman_backup", "wal-g"} {
		c := srv.Run(t, "app", "select pg_sleep(60)", pgtest.AppName(tool))
		stays := untouched(t, srv, c.PID())
		line := b.sendsNothing(t, backendIdentity(t, srv, c.PID(), "query_start").with("application_name", "psql"), ledger.Refused, policy.ReasonProtectedBackup)
		if line.ApplicationName != tool || line.Rule != "lift" {
			t.Errorf("the ledger says %+v", line)
		}
		stays()
	}
	named := newTestRemediator(t, srv, "monsig", lifting(t, `application_name=~"pg_dump.*"`, policy.Cancel))
	c := srv.Run(t, "app", "select pg_sleep(60)", pgtest.AppName("pg_dump"))
	check(t, named.alert(t, identity(t, c, "critical", "query_start")), policy.Cancel, ledger.Cancelled, policy.ReasonRule)
}

func TestMaintenanceIsNotBroken(t *testing.T) {
	srv := pgtest.Start(t)
	srv.Exec(t, "create table t (i int primary key, j int)", "alter table t owner to app", "insert into t select i, i from generate_series(1, 100) i")
	lifted := newTestRemediator(t, srv, "monsig", lifting(t, `usename="app"`, policy.CancelThenTerminate))
	plain := newTestRemediator(t, srv, "monsig")
	for name, tc := range map[string]struct{ holder, sql string }{
		// It has made the index already, and waits for the holder's transaction.
		"create index concurrently":        {"insert into t values (0, 0)", "create index concurrently a on t (j)"},
		"create unique index concurrently": {"insert into t values (0, 0)", "/* nightly */ create unique index concurrently b on t (j, i)"},
		"reindex concurrently":             {"insert into t values (0, 0)", "reindex table concurrently t"},
		"reindex":                          {"lock table t", "-- nightly\nreindex table t"},
		"vacuum":                           {"lock table t", "vacuum t"},
		"vacuum full":                      {"lock table t", "vacuum (full, analyze) t"},
		"cluster":                          {"lock table t", "cluster t using t_pkey"},
	} {
		t.Run(name, func(t *testing.T) {
			holder := srv.IdleInTransaction(t, "app", tc.holder)
			c := srv.Blocked(t, "app", tc.sql)
			for _, b := range []*testRemediator{plain, lifted} {
				for _, alert := range []labels{
					backendIdentity(t, srv, c.PID(), "query_start"),
					backendIdentity(t, srv, c.PID(), "xact_start"),
					pidOnly(c.PID()),
				} {
					b.sendsNothing(t, alert, ledger.Refused, policy.ReasonProtectedMaintenance)
				}
			}
			if !c.Running() {
				t.Error("it was hit")
			}
			holder.Exec(t, "rollback")
			if err := c.Wait(t); err != nil {
				t.Errorf("it did not end well: %v", err)
			}
			if bad := pgtest.Value[int](t, srv, "select count(*)::int from pg_index where not indisvalid"); bad != 0 {
				t.Errorf("%d invalid indexes are left behind", bad)
			}
		})
	}
	t.Run("lifted by its command", func(t *testing.T) {
		holder := srv.IdleInTransaction(t, "app", "lock table t")
		named := newTestRemediator(t, srv, "monsig", lifting(t, `command="VACUUM"`, policy.Cancel))
		for sql, want := range map[string]ledger.Outcome{"vacuum t": ledger.Cancelled, "reindex table t": ledger.Refused} {
			c := srv.Blocked(t, "app", sql)
			if got := named.alert(t, identity(t, c, "critical", "query_start")); got.Outcome != want {
				t.Errorf("%s: %+v", sql, got)
			}
		}
		holder.Exec(t, "rollback")
	})
}

// A superuser's session must not keep others in the same message from being dealt
// with.
func TestSuperusersSession(t *testing.T) {
	srv := pgtest.Start(t)
	root := srv.Run(t, "super1", "select pg_sleep(60)")
	masked := srv.Open(t, "super1")
	masked.Exec(t, "set role app")
	masked.Start(t, "select pg_sleep(60)")
	b := newTestRemediator(t, srv, "monsig", lifting(t, `application_name="pgtest"`, policy.Terminate))
	lifted := newTestRemediator(t, srv, "monsig", lifting(t, `usename=~"app|super1"`, policy.Terminate))
	for _, c := range []*pgtest.Client{root, masked} {
		stays := untouched(t, srv, c.PID())
		alert := backendIdentity(t, srv, c.PID(), "query_start")
		line := b.sendsNothing(t, alert, ledger.Refused, policy.ReasonProtectedUser)
		if line.Usename != "super1" {
			t.Errorf("the ledger says %+v", line)
		}
		b.sendsNothing(t, pidOnly(c.PID()), ledger.Refused, policy.ReasonProtectedUser)

		other := srv.Run(t, "app", "select pg_sleep(60)")
		before := lifted.ledger.Spent("orders", time.Minute, time.Now())
		results, lines := lifted.recorded(t, time.Now(), alert.with("severity", "critical"), identity(t, other, "critical", "query_start"))
		check(t, results[0], policy.Terminate, ledger.Refused, policy.ReasonPermissionDenied)
		check(t, results[1], policy.Terminate, ledger.Terminated, policy.ReasonRule)
		if spent := lifted.ledger.Spent("orders", time.Minute, time.Now()) - before; spent != 1 || intents(lines) != 2 || len(lines) != 4 {
			t.Errorf("%d signals are spent, and the ledger says %+v", spent, lines)
		}
		for _, line := range lines {
			if line.Event == ledger.EventOutcome && line.Signalled != (line.Outcome == ledger.Terminated) {
				t.Errorf("the ledger says %+v", line)
			}
		}
		stays()
	}
}

func TestSessionThatWeMayNotSee(t *testing.T) {
	srv := pgtest.Start(t)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	stays := untouched(t, srv, c.PID())
	for _, role := range []string{"sig", "nopriv"} {
		for _, b := range []*testRemediator{newTestRemediator(t, srv, role), newTestRemediator(t, srv, role, liftsAll(t, policy.Terminate))} {
			line := b.sendsNothing(t, backendIdentity(t, srv, c.PID(), "query_start"), ledger.Refused, policy.ReasonNotVisible)
			if !strings.Contains(line.Detail, "pg_monitor") {
				t.Errorf("the ledger says %+v", line)
			}
			b.sendsNothing(t, pidOnly(c.PID()), ledger.Refused, policy.ReasonNotVisible)
			half := backendIdentity(t, srv, c.PID()) // without a period it is fenced by time
			if line := b.sendsNothing(t, half, ledger.Refused, policy.ReasonNotVisible); line.BackendStart.IsZero() {
				t.Errorf("the ledger has lost what the alert names: %+v", line)
			}
		}
	}
	// Seeing without signalling.
	results, lines := newTestRemediator(t, srv, "mon").recorded(t, time.Now(), identity(t, c, "critical", "query_start"))
	check(t, results[0], policy.Terminate, ledger.Refused, policy.ReasonPermissionDenied)
	if len(lines) != 2 || lines[1].Signalled || !strings.Contains(lines[1].Detail, "pg_signal_backend") {
		t.Errorf("the ledger says %+v", lines)
	}
	stays()

	srv.Exec(t, "alter role etl set track_activities = off")
	secretive := srv.Open(t, "etl")
	secretive.Exec(t, "begin; select 1")
	for _, b := range permissive(t, srv) {
		b.sendsNothing(t, backendIdentity(t, srv, secretive.PID()), ledger.Refused, policy.ReasonNotVisible)
	}
	if !secretive.Alive(t) {
		t.Error("the session was ended")
	}
}
