// Package proctest runs programs for tests: it finds them, starts them so that
// they do not outlive the test, waits until they are ready, keeps what they
// write and shows it when the test has failed, and stops them.
//
// It also has what tests of running programs need beside that: a free port, a
// poll with a deadline, and HTTP requests. It knows nothing of PostgreSQL; for
// that there is pgtest.
package proctest

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Patience is how long anything may take that should take milliseconds. It
// only bounds how long a broken test hangs: on a machine with other work a
// second may become many.
const Patience = time.Minute

// Command is a program and how to start it.
type Command struct {
	Path string // see Find
	Name string // in messages, and the log's; "" means the last element of Path
	Args []string
	Dir  string // the working directory, in which the log is kept too

	// Env is the whole environment. nil means MinimalEnv(Dir).
	Env []string
	// Credential is the user to run as. nil means ours.
	Credential *syscall.Credential
	// AnyStatus accepts every exit status: the program is somebody else's and
	// does not handle SIGTERM, or not from the start.
	AnyStatus bool
}

// MinimalEnv is all that a program needs of our environment: nothing of
// libpq's. The race detector would wait for a second at each exit.
func MinimalEnv(dir string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=/no-home", "TMPDIR=" + dir, "GORACE=atexit_sleep_ms=0"}
}

// Process is a program that has been started.
type Process struct {
	t         testing.TB
	name      string
	log       string
	from      int64 // where in the log its own lines begin
	cmd       *exec.Cmd
	exited    chan struct{} // closed when the program has been waited for
	anyStatus bool
	patience  time.Duration

	awaited atomic.Bool // Wait has told the test how the program ended
	quiet   atomic.Bool // its log is of no interest
	stop    sync.Once
}

// Start starts a program and stops it when the test ends. Its output goes to
// the file NAME.log in its directory, after what is there already.
func Start(t testing.TB, c Command) *Process {
	t.Helper()
	if c.Name == "" {
		c.Name = filepath.Base(c.Path)
	}
	p := &Process{
		t: t, name: c.Name, exited: make(chan struct{}), anyStatus: c.AnyStatus, patience: Patience,
	}
	p.log = filepath.Join(c.Dir, p.name+".log")
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if p.from, err = out.Seek(0, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	if c.Env == nil {
		c.Env = MinimalEnv(c.Dir)
	}
	// It ends by Stop, which gives it time, and not with the test's context.
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), c.Path, c.Args...)
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = c.Dir, c.Env, out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.Credential}
	Bind(p.cmd, syscall.SIGKILL)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // ProcessState says the same
	}()
	t.Cleanup(p.Stop)
	return p
}

// Name is the name in messages.
func (p *Process) Name() string { return p.name }

// PID is the program's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Exited is closed when the program has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Output is what the program has written so far.
func (p *Process) Output() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[p.from:])
}

// Signal sends a signal to the program.
func (p *Process) Signal(sig os.Signal) error { return p.cmd.Process.Signal(sig) }

// Wait waits for the end of the program and returns its exit status, which the
// test then has to judge.
func (p *Process) Wait() int {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(p.patience):
		p.t.Fatalf("%s does not end\n%s", p.name, p.Output())
	}
	p.awaited.Store(true)
	return p.cmd.ProcessState.ExitCode()
}

// Kill ends the program with SIGKILL, and waits until it has gone. Its log is
// searched, but not shown when the test fails.
func (p *Process) Kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatalf("kill %s: %v\n%s", p.name, err, p.Output())
	}
	p.Wait()
	p.quiet.Store(true)
}

// AwaitLine waits until the program has written a match of the expression, and
// returns its subexpressions. The test fails when the program ends before that.
func (p *Process) AwaitLine(expression *regexp.Regexp) []string {
	p.t.Helper()
	var found []string
	Eventually(p.t, fmt.Sprintf("%s to write %s", p.name, expression), func() error {
		ended := p.hasExited() // before the look: the line may be its last
		if found = expression.FindStringSubmatch(p.Output()); found != nil {
			return nil
		}
		if ended {
			return Final(fmt.Errorf("it has ended: %s\n%s", p.cmd.ProcessState, p.Output()))
		}
		return fmt.Errorf("its output is\n%s", p.lastLines(10))
	})
	return found[1:]
}

// Address waits until the program listens and returns where, from its log:
// pgbailiff and Prometheus's programs use the words of the exporter toolkit.
func (p *Process) Address() string {
	p.t.Helper()
	// Not that of the webhook's own listener, which has listener=webhook between.
	found := p.AwaitLine(regexp.MustCompile(`msg="Listening on"(?: component=\S+)? address=(\S+)|"address":"([^"]+)".*"level":"info","msg":"Listening on"`))
	return strings.Replace(found[0]+found[1], "[::]", "127.0.0.1", 1)
}

func (p *Process) hasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// Stop ends the program if it still runs: SIGTERM, and SIGKILL for its process
// group if that is not enough. The test fails when the exit status is not 0 and
// the test has not seen it in Wait, and when the output has a panic or a data
// race. A second Stop does nothing.
func (p *Process) Stop() {
	p.stop.Do(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-p.exited:
		case <-time.After(p.patience):
			p.t.Errorf("%s does not end on SIGTERM", p.name)
			_ = p.cmd.Process.Kill()
			_ = syscall.Kill(-p.PID(), syscall.SIGKILL) // its group, where Bind made one
			<-p.exited
		}
		if state := p.cmd.ProcessState; state.ExitCode() != 0 && !p.anyStatus && !p.awaited.Load() {
			p.t.Errorf("%s: %s", p.name, state)
		}
		for _, sign := range []string{"DATA RACE", "panic"} {
			if strings.Contains(p.Output(), sign) {
				p.t.Errorf("%q in the log of %s", sign, p.name)
			}
		}
		if p.t.Failed() && !p.quiet.Load() {
			p.t.Logf("the end of the log of %s:\n%s", p.name, p.lastLines(60))
		}
	})
}

func (p *Process) lastLines(n int) string {
	lines := strings.SplitAfter(p.Output(), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "")
}
