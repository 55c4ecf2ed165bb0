package proctest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// verdict is a test that another test looks at: it records what is said of it
// and runs its cleanups on demand.
type verdict struct {
	testing.TB
	said     []string
	failed   bool
	cleanups []func()
}

func (v *verdict) Helper()          {}
func (v *verdict) Failed() bool     { return v.failed }
func (v *verdict) Cleanup(f func()) { v.cleanups = append(v.cleanups, f) }

func (v *verdict) Logf(format string, args ...any) {
	v.said = append(v.said, fmt.Sprintf(format, args...))
}

func (v *verdict) Errorf(format string, args ...any) {
	v.failed = true
	v.Logf(format, args...)
}

// Fatalf panics, so that the code after it does not run: see ending.
func (v *verdict) Fatalf(format string, args ...any) {
	v.Errorf(format, args...)
	panic(v)
}

// ending runs f, which may call Fatalf, and then the cleanups.
func (v *verdict) ending(f func()) {
	defer func() {
		for _, cleanup := range v.cleanups {
			cleanup()
		}
		if p := recover(); p != nil && p != v {
			panic(p)
		}
	}()
	f()
}

// expect compares what was said of the test. Each is a part of it.
func (v *verdict) expect(t *testing.T, failed bool, parts ...string) {
	t.Helper()
	said := strings.Join(v.said, "\n")
	if v.failed != failed || !failed && said != "" {
		t.Errorf("failed: %t, and want %t; it says %q", v.failed, failed, said)
	}
	for _, part := range parts {
		if !strings.Contains(said, part) {
			t.Errorf("it says %q, and not %q", said, part)
		}
	}
}

// shell is a program with this script.
func shell(t *testing.T, script string) Command {
	return Command{Path: Find(t, "sh"), Args: []string{"-c", script}, Dir: t.TempDir()}
}

func TestStopJudgesTheEnd(t *testing.T) {
	for name, tt := range map[string]struct {
		script string
		any    bool
		failed bool
		says   []string
	}{
		"well":              {script: `trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done`},
		"by itself":         {script: `echo ready`},
		"with a status":     {script: `echo ready; echo why; exit 3`, failed: true, says: []string{"sh: exit status 3", "why"}},
		"status of another": {script: `echo ready; exit 3`, any: true},
		"by the signal":     {script: `echo ready; exec sleep 600`, failed: true, says: []string{"signal: terminated"}},
		"with a data race":  {script: `echo ready; echo WARNING: DATA RACE`, failed: true, says: []string{`"DATA RACE" in the log of sh`}},
		"with a panic":      {script: `echo ready; echo panic: nil`, any: true, failed: true, says: []string{`"panic" in the log of sh`}},
	} {
		t.Run(name, func(t *testing.T) {
			v := &verdict{TB: t}
			v.ending(func() {
				c := shell(t, tt.script)
				c.AnyStatus = tt.any
				p := Start(v, c)
				Eventually(t, "its line", func() error {
					if !strings.Contains(p.Output(), "ready\n") {
						return errors.New("not yet")
					}
					return nil
				})
				if !strings.HasPrefix(tt.script, "trap") && !strings.Contains(tt.script, "exec") {
					<-p.Exited()
				}
			})
			v.expect(t, tt.failed, tt.says...)
		})
	}
}

// A program that ignores SIGTERM is killed with its children, and fails the
// test.
func TestStopKillsTheGroup(t *testing.T) {
	v := &verdict{TB: t}
	var child int
	v.ending(func() {
		p := Start(v, shell(t, `trap '' TERM; sleep 600 & echo "child=$!"; wait`))
		p.patience = 50 * time.Millisecond
		if _, err := fmt.Sscan(p.AwaitLine(lineOf("child"))[0], &child); err != nil {
			t.Error(err)
		}
	})
	v.expect(t, true, "sh does not end on SIGTERM", "child=")
	Eventually(t, "the child to end", func() error { return ended(child) })
}

func TestWaitLeavesTheStatusToTheTest(t *testing.T) {
	v := &verdict{TB: t}
	v.ending(func() {
		if got := Start(v, shell(t, "exit 3")).Wait(); got != 3 {
			t.Errorf("status %d, want 3", got)
		}
	})
	v.expect(t, false)
}

func TestAProgramThatEndsBeforeItsLine(t *testing.T) {
	v := &verdict{TB: t}
	v.ending(func() { Start(v, shell(t, "echo no such flag; exit 2")).Address() })
	v.expect(t, true, "waiting for sh to write", "it has ended: exit status 2\nno such flag")
}

func TestAddress(t *testing.T) {
	for line, want := range map[string]string{
		`time=now level=INFO msg="Listening on" component=web address=127.0.0.1:4711`: "127.0.0.1:4711",
		`time=now level=INFO msg="Listening on" address=[::]:4711`:                    "127.0.0.1:4711",
		`{"address":"127.0.0.1:4711","level":"info","msg":"Listening on"}`:            "127.0.0.1:4711",
	} {
		if got := Start(t, shell(t, "echo '"+line+"'")).Address(); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}

// pgbailiff may listen for the webhook elsewhere.
func TestAddressIsNotTheWebhooks(t *testing.T) {
	for webhook, main := range map[string]string{
		`msg="Listening on" listener=webhook address=127.0.0.1:1`:                            `msg="Listening on" address=127.0.0.1:2`,
		`{"address":"127.0.0.1:1","level":"info","listener":"webhook","msg":"Listening on"}`: `{"address":"127.0.0.1:2","level":"info","msg":"Listening on"}`,
	} {
		if got := Start(t, shell(t, "echo '"+webhook+"'; echo '"+main+"'")).Address(); got != "127.0.0.1:2" {
			t.Errorf("%s: %s", main, got)
		}
	}
}

// A second program of the name writes after the first one into its log.
func TestOutputIsTheProgramsOwn(t *testing.T) {
	c := shell(t, "echo first")
	Start(t, c).Wait()
	c.Args[1] = "echo second"
	p := Start(t, c)
	p.Wait()
	if got := p.Output(); got != "second\n" {
		t.Errorf("its output is %q", got)
	}
	text, err := os.ReadFile(filepath.Join(c.Dir, "sh.log"))
	if err != nil || string(text) != "first\nsecond\n" {
		t.Errorf("the log is %q, %v", text, err)
	}
}

func TestMinimalEnvironment(t *testing.T) {
	t.Setenv("PGHOST", "elsewhere")
	p := Start(t, shell(t, `echo "$PGHOST,$TMPDIR"`))
	p.Wait()
	if got, want := p.Output(), ","+p.cmd.Dir+"\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func ended(pid int) error {
	if syscall.Kill(pid, 0) == nil {
		return fmt.Errorf("%d still runs", pid)
	}
	return nil
}
