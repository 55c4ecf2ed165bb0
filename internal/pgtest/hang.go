package pgtest

import (
	"sync"
	"syscall"
	"testing"
)

// Hanging returns a function that makes the server hang for the sessions with
// this application name, and one that lets it go on: it stops their backends,
// and the postmaster, so that no new one comes. It waits for the first of these
// sessions to be idle. The test's end resumes the server.
func (s *Server) Hanging(t testing.TB, application string) (hang, resume func()) {
	t.Helper()
	s.WaitFor(t, "select exists (select from pg_stat_activity where application_name = $1 and state = 'idle')", application)
	pids := append(s.backends(t, application), s.PID())
	hang, resume = signalAll(pids, syscall.SIGSTOP), signalAll(pids, syscall.SIGCONT)
	t.Cleanup(resume)
	return hang, resume
}

// Freeze stops the backends of the sessions with this application name, until
// thaw is called or the test ends. The server accepts new connections.
func (s *Server) Freeze(t testing.TB, application string) (thaw func()) {
	t.Helper()
	pids := s.backends(t, application)
	if len(pids) == 0 {
		t.Fatalf("pgtest: there is no session of %s to freeze", application)
	}
	thaw = sync.OnceFunc(signalAll(pids, syscall.SIGCONT))
	t.Cleanup(thaw)
	signalAll(pids, syscall.SIGSTOP)()
	return thaw
}

// backends returns the pids of the sessions with this application name.
func (s *Server) backends(t testing.TB, application string) []int {
	t.Helper()
	return Value[[]int](t, s, "select coalesce(array_agg(pid), '{}') from pg_stat_activity where application_name = $1", application)
}

func signalAll(pids []int, signal syscall.Signal) func() {
	return func() {
		for _, pid := range pids {
			_ = syscall.Kill(pid, signal) // one may be gone
		}
	}
}

// Halt stops every process of the server, as on a machine that is stopped: no
// session is answered, and the kernel accepts a new connection, which then hangs.
// It ends with resume, or with the test.
func (s *Server) Halt(t testing.TB) (resume func()) {
	t.Helper()
	s.Pause(t) // no backend is new from here on
	pids := Value[[]int](t, s, "select array_agg(pid order by pid = pg_backend_pid()) from pg_stat_activity")
	resume = sync.OnceFunc(signalAll(append(pids, s.PID()), syscall.SIGCONT))
	t.Cleanup(resume)
	signalAll(pids, syscall.SIGSTOP)()
	return resume
}
