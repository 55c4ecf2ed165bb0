//go:build heavy

package pgtest_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// TestPIDReuse gives the pid of an ended session to a new one.
func TestPIDReuse(t *testing.T) {
	pgtest.InPIDNamespace(t, func() {
		srv := pgtest.Start(t)
		for range 10 {
			first := srv.Run(t, "app", "select pg_sleep(60)")
			before := first.Activity(t)
			pgtest.Value[bool](t, srv, "select pg_terminate_backend($1)", first.PID())
			_ = first.Wait(t)

			second := srv.OpenWithPID(t, before.PID, "app2")
			if after := second.Activity(t); after.PID != before.PID || !after.BackendStart.After(before.BackendStart) {
				t.Errorf("first %+v, then %+v", before, after)
			}
		}
	})
}

// TestTakenPID: when a thread of the test has the pid that the next session
// should get, the test is run again.
func TestTakenPID(t *testing.T) {
	const variable, pid = "PGBAILIFF_TEST_TAKEN", 5000
	if os.Getenv(variable) == "" {
		t.Setenv(variable, filepath.Join(t.TempDir(), "once"))
	}
	pgtest.InPIDNamespace(t, func() {
		srv := pgtest.Start(t)
		once, err := os.OpenFile(os.Getenv(variable), os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil { // the second run
			if c := srv.OpenWithPID(t, pid, "app"); c.PID() != pid {
				t.Errorf("got the pid %d", c.PID())
			}
			return
		}
		_ = once.Close()
		forever := make(chan struct{})
		for !exists("/proc/self/task/" + strconv.Itoa(pid)) {
			pgtest.SetLastPID(t, pid-1)
			go func() {
				runtime.LockOSThread()
				<-forever
			}()
			runtime.Gosched()
		}
		srv.OpenWithPID(t, pid, "app")
	})
	if !exists(os.Getenv(variable)) {
		t.Error("there was no first run")
	}
}
