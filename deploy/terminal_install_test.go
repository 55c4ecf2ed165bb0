//go:build install

package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// terminal is a shell that somebody types into. What runs in its background ends
// with the test.
type terminal struct {
	t     *testing.T
	in    io.Writer
	log   string // the file with what the shell and its programs have written
	ended chan struct{}
	typed int
}

// openTerminal starts a shell in a directory. Careful says that a command that
// fails ends it, and so the test. Without a shell it is bash on this machine.
func openTerminal(t *testing.T, dir string, env []string, careful bool, shell ...string) *terminal {
	t.Helper()
	if len(shell) == 0 {
		shell = []string{"bash", "-u", "-o", "pipefail"}
		if careful {
			shell = append(shell, "-e")
		}
	}
	cmd := exec.CommandContext(t.Context(), shell[0], shell[1:]...)
	cmd.Cancel = func() error { return nil } // the cleanup ends it, with all that it has started
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	logs := t.TempDir()
	out, err := os.Create(filepath.Join(logs, "terminal.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, in: in, log: out.Name(), ended: make(chan struct{})}
	go func() {
		defer close(term.ended)
		_ = cmd.Wait() // its status is in the log
	}()
	t.Cleanup(func() { term.close(cmd.Process.Pid) })
	return term
}

// close ends the programs in the background, so that the shell has waited for them
// when it ends itself.
func (term *terminal) close(group int) {
	_, _ = io.WriteString(term.in, "\nset +e; kill $(jobs -p) 2>/dev/null; wait; exit\n") // it may have ended
	select {
	case <-term.ended:
	case <-time.After(proctest.Patience):
		term.t.Errorf("the shell does not end:\n%s", term.text())
	}
	if err := syscall.Kill(-group, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		term.t.Error(err)
	}
	<-term.ended
}

// text is what the terminal shows.
func (term *terminal) text() string {
	text, err := os.ReadFile(term.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// start types commands and does not wait for them.
func (term *terminal) start(commands string) (done string) {
	term.t.Helper()
	term.typed++
	done = fmt.Sprintf("=== block %d is done\n", term.typed)
	if _, err := fmt.Fprintf(term.in, "%s\necho '%s'\n", strings.TrimRight(commands, "\n"), strings.TrimSpace(done)); err != nil {
		term.t.Fatalf("the shell takes no commands any more: %v\n%s", err, term.text())
	}
	return done
}

// patience is how long a block of commands may take, such as a build or apt-get on a
// busy machine. It only bounds how long a broken test hangs.
const patience = 5 * time.Minute

// run types commands, waits for their end and returns what they have written.
func (term *terminal) run(commands string) string {
	term.t.Helper()
	before := len(term.text())
	done := term.start(commands)
	ctx, cancel := context.WithTimeout(term.t.Context(), patience)
	defer cancel()
	if err := proctest.Poll(ctx, 20*time.Millisecond, func() error {
		if strings.Contains(term.text(), done) {
			return nil
		}
		select {
		case <-term.ended:
			if strings.Contains(term.text(), done) {
				return nil
			}
			return proctest.Final(fmt.Errorf("a command has failed:\n%s", term.text()))
		default:
			return fmt.Errorf("so far:\n%s", term.text())
		}
	}); err != nil {
		term.t.Fatalf("waiting for the end of\n%s: %v", commands, err)
	}
	return strings.Replace(term.text()[before:], done, "", 1)
}

// dir is the directory in which the shell is.
func (term *terminal) dir() string {
	term.t.Helper()
	file := term.log + ".pwd" // what it writes itself would be among what its programs write
	term.run("pwd >'" + file + "'")
	text, err := os.ReadFile(file)
	if err != nil {
		term.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}
