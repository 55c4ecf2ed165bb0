package pgtest

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// TestHandOn: a test gets the server of the one before only if that has left
// nothing on it.
func TestHandOn(t *testing.T) {
	run := func(sql ...string) func(*testing.T, *Server) {
		return func(t *testing.T, s *Server) { s.Exec(t, sql...) }
	}
	for _, tc := range []struct {
		name     string
		settings []string
		use      func(*testing.T, *Server)
		handedOn bool
	}{
		{"not used", nil, func(*testing.T, *Server) {}, true},
		{"read", nil, run("select pg_sleep(0)"), true},
		{"sessions are left", nil, func(t *testing.T, s *Server) {
			s.Run(t, "app", "select pg_sleep(600)")
			s.NotReading(t, "app")
			s.WalSender(t)
			s.IdleInTransaction(t, "app", "select pg_advisory_xact_lock(1)")
		}, true},
		{"a lock that no session gets past, with a transaction ID", nil, func(t *testing.T, s *Server) {
			s.IdleInTransaction(t, "postgres", "lock table pg_database")
		}, false},
		{"a session is frozen", nil, func(t *testing.T, s *Server) {
			s.Open(t, "app")
			s.Freeze(t, "pgtest")
		}, true},
		{"the superuser's session is set", nil, run("set application_name = other", "select pg_advisory_lock(1)"), true},
		{"settings", []string{"max_connections=20"}, func(*testing.T, *Server) {}, false},
		{"a table", nil, run("create table stock ()"), false},
		{"a table that is gone", nil, run("create table stock ()", "drop table stock"), false},
		{"a role", nil, run("create role another"), false},
		{"a setting of a role", nil, run("alter role app set work_mem = '1MB'"), false},
		{"a replication slot", nil, run("select pg_create_physical_replication_slot('slot')"), false},
		{"a setting of the server", nil, run("alter system set work_mem = '1MB'"), false},
		{"a file", nil, func(t *testing.T, s *Server) {
			if err := os.WriteFile(filepath.Join(s.SocketDir(), "left"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"restarted", nil, func(t *testing.T, s *Server) { s.Restart(t) }, false},
		{"stopped", nil, func(t *testing.T, s *Server) { s.Stop(t) }, false},
		{"paused", nil, func(t *testing.T, s *Server) { s.Pause(t) }, false},
		{"halted", nil, func(t *testing.T, s *Server) { s.Halt(t) }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			handed.allow(true)
			t.Cleanup(func() { handed.allow(false) })
			var first int
			t.Run("first", func(t *testing.T) {
				s := Start(t, tc.settings...)
				first = s.postmaster.Process.Pid
				tc.use(t, s)
			})
			if alive := syscall.Kill(first, 0) == nil; alive != tc.handedOn {
				t.Errorf("the server runs on: %t, want %t", alive, tc.handedOn)
			}
			s := Start(t, tc.settings...)
			if same := s.postmaster.Process.Pid == first; same != tc.handedOn {
				t.Errorf("the server was handed on: %t, want %t", same, tc.handedOn)
			}
			if !tc.handedOn {
				return
			}
			if s.Log() != "" {
				t.Errorf("the log has lines from before:\n%s", s.Log())
			}
			others := Value[[]string](t, s, `select coalesce(array_agg(application_name || ': ' || query), '{}')
				from pg_stat_activity where backend_type <> all($1) and application_name <> 'pgtest-admin'`,
				[]string{"autovacuum launcher", "logical replication launcher", "background writer", "checkpointer", "walwriter", "io worker"})
			if len(others) > 0 {
				t.Errorf("sessions from before: %q", others)
			}
			if locks := Value[int](t, s, "select count(*) from pg_locks where locktype = 'advisory'"); locks != 0 {
				t.Errorf("%d advisory locks from before", locks)
			}
		})
	}
}

// TestTheLastServerEndsWithThePackage: what no test takes any more is removed.
func TestTheLastServerEndsWithThePackage(t *testing.T) {
	var dir string
	var postmaster int
	HandOn(runner(func() int {
		t.Run("test", func(t *testing.T) {
			s := Start(t)
			dir, postmaster = s.dir, s.postmaster.Process.Pid
		})
		if syscall.Kill(postmaster, 0) != nil {
			t.Error("the server was not kept for the next test")
		}
		return 0
	})).Run()
	if syscall.Kill(postmaster, 0) == nil {
		t.Error("the postmaster runs on")
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s: %v, want it gone", dir, err)
	}
}

type runner func() int

func (r runner) Run() int { return r() }

// TestAFailedTestHandsNothingOn: its server may be what is broken.
func TestAFailedTestHandsNothingOn(t *testing.T) {
	handed.allow(true)
	t.Cleanup(func() { handed.allow(false) })
	s := Start(t)
	s.t = failed{t}
	if s.asNew(proctest.Patience) {
		t.Error("the server of a failed test counts as new")
	}
	s.t = t
	if !s.asNew(proctest.Patience) {
		t.Error("the same server does not count as new")
	}
}

type failed struct{ testing.TB }

func (failed) Failed() bool { return true }

// TestASessionThatDoesNotEnd: with it the server is not as new.
func TestASessionThatDoesNotEnd(t *testing.T) {
	handed.allow(true)
	t.Cleanup(func() { handed.allow(false) })
	s := Start(t)
	s.Open(t, "app")
	s.Freeze(t, "pgtest")
	if s.asNew(500 * time.Millisecond) {
		t.Error("a server with a session counts as new")
	}
}
