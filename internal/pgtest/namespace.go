package pgtest

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// insideVariable tells the second run of a test binary that it is the one
// inside the namespace.
const insideVariable = "PGBAILIFF_TEST_IN_PID_NAMESPACE"

// pidTaken is how OpenWithPID fails when something else keeps the pid: a new
// thread of the test itself may get it. That is not the fault of what is tested,
// so the test is run again, in a new namespace.
const pidTaken = "pgtest: no session got the pid"

// InPIDNamespace runs f in a process-id namespace of its own, where the test
// may choose the pids of new processes. It runs the test binary once more, for
// this one test, under unshare. The inner run calls f; the outer run reports its
// outcome, and its output if it failed.
//
// Both runs execute what the test does outside f.
func InPIDNamespace(t *testing.T, f func()) {
	t.Helper()
	if os.Getenv(insideVariable) != "" {
		f()
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}

	args := []string{"--pid", "--fork", "--kill-child", "--mount-proc"}
	if os.Geteuid() != 0 {
		// The user stays the same, because PostgreSQL does not run as root, and
		// gets root's capabilities in its own namespace.
		args = append(args, "--user", "--map-current-user", "--keep-caps")
	}
	args = append(args, self, "-test.v", "-test.count=1", "-test.run="+onlyTest(t.Name()))
	out, err := unshare(t, args)
	for range 4 {
		if err == nil || !bytes.Contains(out, []byte(pidTaken)) {
			break
		}
		out, err = unshare(t, args)
	}
	if err != nil {
		t.Fatalf("pgtest: in a pid namespace (this needs unshare of util-linux, and root or user namespaces): %v\n%s", err, out)
	}
	if !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("pgtest: the test did not run in its pid namespace:\n%s", out)
	}
}

// unshare runs one command in new namespaces and returns its output.
func unshare(t *testing.T, args []string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, proctest.Find(t, "unshare"), args...)
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	proctest.Bind(cmd, syscall.SIGKILL)
	return cmd.CombinedOutput()
}

// onlyTest is a -test.run pattern for one test or subtest.
func onlyTest(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	return strings.Join(parts, "/")
}

// SetLastPID makes pid+1 the pid of the next process, or of the next thread of
// any program, our own included. It works inside InPIDNamespace only.
func SetLastPID(t testing.TB, pid int) {
	t.Helper()
	if os.Getenv(insideVariable) == "" {
		t.Fatal("pgtest: SetLastPID outside of InPIDNamespace would disturb the whole machine")
	}
	if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(pid)), 0); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
}

// OpenWithPID opens a session whose backend has this pid, which must be free:
// that of a session that has ended. It works inside InPIDNamespace only.
func (s *Server) OpenWithPID(t testing.TB, pid int, user string, opts ...func(*pgx.ConnConfig)) *Client {
	t.Helper()
	s.WaitFor(t, "select not exists (select from pg_stat_get_activity($1) s where s.pid = $1)", pid)
	for range 50 { // a new thread may get the pid first
		SetLastPID(t, pid-1)
		c := s.Open(t, user, opts...)
		if c.PID() == pid {
			return c
		}
		c.close()
	}
	t.Fatalf("%s %d", pidTaken, pid)
	return nil
}
