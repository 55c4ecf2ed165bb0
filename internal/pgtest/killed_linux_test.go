package pgtest_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// TestKilledTestLeavesNothing kills a test that has a server, and looks for
// what is left once another test has started one: also when the server was
// paused and could not react to the death of its test.
func TestKilledTestLeavesNothing(t *testing.T) {
	const variable = "PGBAILIFF_TEST_TO_BE_KILLED"
	if how := os.Getenv(variable); how != "" {
		srv := pgtest.Start(t)
		srv.Run(t, "app", "select pg_sleep(600)")
		if how == "paused" {
			srv.Pause(t)
		}
		if _, err := os.Stdout.WriteString("\n" + strconv.Itoa(srv.PID()) + " " + srv.SocketDir() + "\n"); err != nil {
			t.Fatal(err)
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	for _, how := range []string{"running", "paused"} {
		t.Run(how, func(t *testing.T) {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			killed := exec.CommandContext(t.Context(), self, "-test.run=^TestKilledTestLeavesNothing$")
			killed.Env = append(os.Environ(), variable+"="+how)
			var said bytes.Buffer // not the error output, which the server holds
			killed.Stdout = &said
			_ = killed.Run()
			fields := strings.Fields(said.String())
			if len(fields) != 2 {
				t.Fatalf("the test that was to be killed said %q", said.String())
			}
			pid, err := strconv.Atoi(fields[0])
			if err != nil {
				t.Fatal(err)
			}
			long := time.Now().Add(-time.Hour)
			if err := os.Chtimes(filepath.Join(fields[1], "lock"), long, long); err != nil {
				t.Fatal(err)
			}
			pgtest.Start(t)
			proctest.Eventually(t, "the postmaster to end", func() error {
				if syscall.Kill(pid, 0) == nil {
					return errors.New("it still runs")
				}
				return nil
			})
			proctest.Eventually(t, "its directory to be removed", func() error {
				if exists(filepath.Join(fields[1], "lock")) {
					return errors.New("it is still there")
				}
				return nil
			})
		})
	}
}
