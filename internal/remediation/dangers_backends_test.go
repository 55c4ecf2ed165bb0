package remediation_test

// In this file: the backends that are always protected, whatever the rules say and
// whatever PostgreSQL would allow.

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// receiveWAL runs the real pg_receivewal, where the installation has it, and
// returns the pid of its walsender.
func receiveWAL(t *testing.T, srv *pgtest.Server) int {
	t.Helper()
	program, err := exec.LookPath(filepath.Join(srv.Bin(), "pg_receivewal"))
	if err != nil {
		return srv.WalSender(t).PID()
	}
	dir := t.TempDir()
	proctest.Start(t, proctest.Command{
		Path: program, Dir: dir, Env: os.Environ(), AnyStatus: true,
		Args: []string{
			"--no-loop", "-D", dir,
			"-d", fmt.Sprintf("host=%s port=%d user=repl application_name=receiver", srv.Host(), srv.Port()),
		},
	})
	srv.WaitFor(t, "select state = 'streaming' from pg_stat_replication where application_name = 'receiver'")
	return pgtest.Value[int](t, srv, "select pid from pg_stat_replication where application_name = 'receiver'")
}

// logicalSender opens a stream of logical replication.
func logicalSender(t *testing.T, srv *pgtest.Server) int {
	t.Helper()
	srv.Exec(t, "create publication everything for all tables")
	c := srv.Open(t, "repl", func(config *pgx.ConnConfig) { config.RuntimeParams["replication"] = "database" })
	c.Exec(t, "CREATE_REPLICATION_SLOT changes TEMPORARY LOGICAL pgoutput")
	c.Start(t, "START_REPLICATION SLOT changes LOGICAL 0/0 (proto_version '1', publication_names 'everything')")
	srv.WaitFor(t, "select state = 'streaming' from pg_stat_replication where pid = $1", c.PID())
	return c.PID()
}

func TestWalSenderIsNeverSignalled(t *testing.T) {
	srv := pgtest.Start(t, "wal_level=logical")
	senders := map[string]int{"physical": srv.WalSender(t).PID(), "pg_receivewal": receiveWAL(t, srv), "logical": logicalSender(t, srv)}
	bailiffs := permissive(t, srv)
	for kind, pid := range senders {
		stays := untouched(t, srv, pid)
		for name, b := range bailiffs {
			t.Run(kind+" "+name, func(t *testing.T) {
				line := b.sendsNothing(t, backendIdentity(t, srv, pid, "query_start"), ledger.Refused, policy.ReasonProtectedBackend)
				if line.Usename != "repl" || !strings.Contains(line.Detail, "walsender") {
					t.Errorf("the ledger says %+v", line)
				}
				b.sendsNothing(t, pidOnly(pid), ledger.Refused, policy.ReasonProtectedBackend)
			})
		}
		stays()
	}
	// All of them go on streaming.
	srv.Exec(t, "create table t (i int)", "insert into t select generate_series(1, 1000)")
	now := pgtest.Value[string](t, srv, "select pg_current_wal_flush_lsn()::text")
	for _, pid := range senders {
		srv.WaitFor(t, "select sent_lsn >= $2::text::pg_lsn from pg_stat_replication where pid = $1", pid, now)
	}
}

func TestAutovacuumIsNeverSignalled(t *testing.T) {
	srv := pgtest.Start(t, "autovacuum_naptime=1s", "autovacuum_vacuum_cost_delay=100ms", "autovacuum_vacuum_cost_limit=1")
	// A session tells of its dead rows at its end at the latest.
	maker := srv.Connect(t, "app")
	if _, err := maker.Exec(t.Context(), `create table t (i int, filler text) with (fillfactor = 10,
		autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0)`); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"insert into t select i, repeat('x', 700) from generate_series(1, 1000) i", "delete from t"} {
		if _, err := maker.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := maker.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	srv.WaitFor(t, "select exists (select from pg_stat_activity where backend_type = 'autovacuum worker' and query like '%public.t')")
	pid := pgtest.Value[int](t, srv, "select pid from pg_stat_activity where backend_type = 'autovacuum worker' and query like '%public.t'")
	stays := untouched(t, srv, pid)
	for name, b := range permissive(t, srv) {
		t.Run(name, func(t *testing.T) {
			line := b.sendsNothing(t, backendIdentity(t, srv, pid, "query_start", "xact_start"), ledger.Refused, policy.ReasonProtectedBackend)
			if !strings.Contains(line.Detail, "autovacuum worker") {
				t.Errorf("the ledger says %+v", line)
			}
			b.sendsNothing(t, pidOnly(pid), ledger.Refused, policy.ReasonProtectedBackend)
		})
	}
	stays()
	// Nor any other of the server's own processes.
	for _, kind := range []string{"autovacuum launcher", "logical replication launcher", "checkpointer", "background writer", "walwriter"} {
		own := pgtest.Value[int](t, srv, "select pid from pg_stat_activity where backend_type = $1", kind)
		b := newTestRemediator(t, srv, "super1", liftsAll(t, policy.Terminate))
		b.sendsNothing(t, backendIdentity(t, srv, own), ledger.Refused, policy.ReasonProtectedBackend)
		if pgtest.Value[int](t, srv, "select pid from pg_stat_activity where backend_type = $1", kind) != own {
			t.Errorf("the %s has ended", kind)
		}
	}
}

func TestParallelWorkerIsNeverSignalled(t *testing.T) {
	srv := pgtest.Start(t, "parallel_setup_cost=0", "parallel_tuple_cost=0", "min_parallel_table_scan_size=0")
	srv.Exec(t, "create table t as select generate_series(1, 5000) i", "alter table t set (parallel_workers = 1)", "grant select on t to app")
	leader := srv.Run(t, "app", "select count(*) from t where pg_sleep(0.1) is not null")
	const worker = "select pid from pg_stat_activity where leader_pid = $1 and state = 'active'"
	srv.WaitFor(t, "select exists ("+worker+")", leader.PID())
	pid := pgtest.Value[int](t, srv, worker, leader.PID())
	workerStays, leaderStays := untouched(t, srv, pid), untouched(t, srv, leader.PID())
	for name, b := range permissive(t, srv) {
		t.Run(name, func(t *testing.T) {
			line := b.sendsNothing(t, backendIdentity(t, srv, pid, "query_start", "xact_start"), ledger.Refused, policy.ReasonProtectedBackend)
			if !strings.Contains(line.Detail, fmt.Sprintf("leader is pid %d", leader.PID())) {
				t.Errorf("the ledger says %q, and the leader is pid %d", line.Detail, leader.PID())
			}
			b.sendsNothing(t, pidOnly(pid), ledger.Refused, policy.ReasonProtectedBackend)
		})
	}
	workerStays()
	leaderStays()
	// The leader is a session like any other.
	b := newTestRemediator(t, srv, "monsig")
	check(t, b.alert(t, identity(t, leader, "warning", "query_start")), policy.Cancel, ledger.Cancelled, policy.ReasonSeverity)
}

// commitThatWaits is a session whose commit waits for a synchronous standby.
// Commits do not wait until the checkpointer has read the setting, which nothing
// shows, so it inserts until one waits.
func commitThatWaits(t *testing.T, srv *pgtest.Server) *pgtest.Client {
	t.Helper()
	c := srv.Open(t, "app")
	proctest.Until(t, "a commit to wait for a standby", func() bool {
		if !c.Running() {
			c.Start(t, "insert into t values (1)")
		}
		return pgtest.Value[bool](t, srv, "select coalesce(wait_event = 'SyncRep', false) from pg_stat_get_activity($1) s where s.pid = $1", c.PID())
	})
	return c
}

// A commit that waits for its synchronous standby is durable locally. A cancel
// would report success to the client before the standby has confirmed.
func TestSynchronousCommitIsNeverSignalled(t *testing.T) {
	srv := pgtest.Start(t)
	bailiffs := permissive(t, srv)
	srv.Exec(t, "create table t (i int)", "grant all on t to app",
		"alter system set synchronous_standby_names = 'nobody'", "select pg_reload_conf()")
	simple := commitThatWaits(t, srv)
	inTransaction := srv.IdleInTransaction(t, "app", "insert into t values (2)")
	inTransaction.Start(t, "commit")
	for _, c := range []*pgtest.Client{simple, inTransaction} {
		c.Await(t, "wait_event = 'SyncRep'")
		for name, b := range bailiffs {
			t.Run(name, func(t *testing.T) {
				for _, fence := range []labels{
					backendIdentity(t, srv, c.PID(), "query_start"),
					backendIdentity(t, srv, c.PID(), "xact_start"),
					backendIdentity(t, srv, c.PID(), "query_start", "xact_start"),
					pidOnly(c.PID()),
				} {
					line := b.sendsNothing(t, fence, ledger.Refused, policy.ReasonSyncRep)
					if line.WaitEvent != "SyncRep" || line.ApplicationName != "pgtest" {
						t.Errorf("the ledger says %+v", line)
					}
				}
			})
		}
		if !c.Running() {
			t.Errorf("the commit of %s does not wait any more: %v", c, c.Wait(t))
		}
	}
	// A pending cancel would take effect before anything else.
	srv.Exec(t, "alter system reset synchronous_standby_names", "select pg_reload_conf()")
	for _, c := range []*pgtest.Client{simple, inTransaction} {
		if err := c.Wait(t); err != nil {
			t.Error(err)
		}
	}
	if strings.Contains(srv.Log(), "canceling wait for synchronous replication") {
		t.Error("a client was told of a commit that no standby has confirmed")
	}
}

func TestOurOwnSessionsAreNeverSignalled(t *testing.T) {
	srv := pgtest.Start(t)
	for _, role := range []string{"monsig", "super1"} {
		for range 2 { // the second one is a replica of the first
			b := newTestRemediator(t, srv, role, liftsAll(t, policy.CancelThenTerminate))
			if _, err := b.settings.Servers["orders"].(*postgres.Server).Snapshot(t.Context(), session.SnapshotOptions{}); err != nil {
				t.Fatal(err)
			}
			// The acting connections and those that scrape.
			ours := "from pg_stat_activity where application_name = 'pgbailiff' and usename = $1 and query_start is not null"
			srv.WaitFor(t, "select count(*) % 2 = 0 "+ours, role)
			pids := pgtest.Value[[]int](t, srv, "select array_agg(pid) "+ours, role)
			for _, pid := range pids {
				for _, label := range []string{"query_start", "state_change"} {
					b.sendsNothing(t, backendIdentity(t, srv, pid, label), ledger.Refused, policy.ReasonProtectedBackend)
				}
				b.sendsNothing(t, pidOnly(pid), ledger.Refused, policy.ReasonProtectedBackend)
			}
			if left := pgtest.Value[[]int](t, srv, "select array_agg(pid) "+ours, role); len(left) != len(pids) {
				t.Errorf("of our sessions %v there are left %v", pids, left)
			}
		}
	}
	// Another session with our application_name is not protected.
	c := srv.Run(t, "app", "select pg_sleep(60)", pgtest.AppName(postgres.ApplicationName))
	b := newTestRemediator(t, srv, "monsig")
	check(t, b.alert(t, identity(t, c, "warning", "query_start")), policy.Cancel, ledger.Cancelled, policy.ReasonSeverity)
}
