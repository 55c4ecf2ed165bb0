package proctest

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// TestKilledTestEndsItsPrograms kills a test that has started a program.
func TestKilledTestEndsItsPrograms(t *testing.T) {
	const variable = "PGBAILIFF_TEST_TO_BE_KILLED"
	if os.Getenv(variable) != "" {
		fmt.Printf("pid=%d\n", Start(t, shell(t, "exec sleep 600")).PID())
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	killed := exec.CommandContext(t.Context(), self, "-test.run=^TestKilledTestEndsItsPrograms$")
	killed.Env = append(os.Environ(), variable+"=1", "TMPDIR="+t.TempDir())
	said, _ := killed.Output()
	found := lineOf("pid").FindSubmatch(said)
	if found == nil {
		t.Fatalf("the test that was to be killed said %q", said)
	}
	var pid int
	if _, err := fmt.Sscan(string(found[1]), &pid); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "the program to end", func() error { return ended(pid) })
}
