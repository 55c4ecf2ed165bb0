//go:build heavy

package dashboards_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take that should take milliseconds.
const patience = time.Minute

// child is a program that runs until the test ends.
type child struct {
	name, log string
	cmd       *exec.Cmd
	exited    chan struct{} // closed when the program has been waited for
}

func start(t *testing.T, dir, name, path string, args ...string) *child {
	t.Helper()
	c := &child{name: name, log: filepath.Join(dir, name+".log"), exited: make(chan struct{})}
	out, err := os.Create(c.log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	// It ends by stop, which gives it time, and not with the test's context.
	c.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), path, args...)
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr, c.cmd.SysProcAttr = dir, out, out, dieWithParent()
	c.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/no-home", "TMPDIR=" + dir, "GORACE=atexit_sleep_ms=0"}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.exited)
		_ = c.cmd.Wait() // ProcessState says the same
	}()
	t.Cleanup(func() { c.stop(t) })
	return c
}

// stop ends the program, which must end well and must not have ended before.
func (c *child) stop(t *testing.T) {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.exited:
	case <-time.After(patience):
		t.Errorf("%s does not end", c.name)
		_ = c.cmd.Process.Kill()
		<-c.exited
	}
	output := c.output()
	if code := c.cmd.ProcessState.ExitCode(); code != 0 || strings.Contains(output, "DATA RACE") {
		t.Errorf("%s: %s, or a data race", c.name, c.cmd.ProcessState)
	}
	if t.Failed() {
		lines := strings.SplitAfter(output, "\n")
		t.Logf("the end of the log of %s:\n%s", c.name, strings.Join(lines[max(0, len(lines)-60):], ""))
	}
}

// address waits until the program listens, and returns where, from its log:
// all of them say it in the words of the exporter toolkit.
func (c *child) address(t *testing.T) (address string) {
	t.Helper()
	listening := regexp.MustCompile(`msg="Listening on".* address=(\S+)`)
	eventually(t, c.name+" to listen", func() bool {
		select {
		case <-c.exited:
			t.Fatalf("%s: %s\n%s", c.name, c.cmd.ProcessState, c.output())
		default:
		}
		if found := listening.FindStringSubmatch(c.output()); found != nil {
			address = strings.Replace(found[1], "[::]", "127.0.0.1", 1)
		}
		return address != ""
	})
	return address
}

func (c *child) output() string {
	text, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// eventually tries until it succeeds.
func eventually(t *testing.T, what string, try func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !try() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
