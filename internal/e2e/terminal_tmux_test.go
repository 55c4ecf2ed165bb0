package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// The terminal of a person has this size.
const terminalWidth, terminalHeight = 80, 24

const tmuxSocket = "tmux.socket"

// terminal is a real terminal with a shell in it: a window of tmux.
type terminal struct {
	t       testing.TB
	tmux    string
	dir     string // has the socket; a path from here is short enough for one
	env     []string
	entered int // commands
}

// newTerminal opens a terminal in a directory of the test, in an environment with
// these variables.
func newTerminal(t testing.TB, dir string, env ...string) *terminal {
	t.Helper()
	term := &terminal{
		t: t, tmux: proctest.Find(t, "tmux"), dir: dir,
		env: append(proctest.MinimalEnv(dir), "LC_ALL=C.UTF-8", "TERM=screen", "SHELL=/bin/sh", "PS1=$ "),
	}
	term.env = append(term.env, env...)
	proctest.Start(t, proctest.Command{
		Path: term.tmux, Dir: dir, Env: term.env, AnyStatus: true,
		Args: []string{"-D", "-u", "-S", tmuxSocket, "-f", "/dev/null"},
	})
	proctest.Eventually(t, "a terminal", func() error {
		_, err := term.control("new-session", "-d", "-s", "test", "-c", dir, "-x", strconv.Itoa(terminalWidth), "-y", strconv.Itoa(terminalHeight), "/bin/sh")
		return err
	})
	term.expect("a prompt", func(text string) bool { return strings.HasPrefix(text, "$") })
	return term
}

// control runs a command of tmux, and never starts another server.
func (term *terminal) control(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(term.t.Context(), proctest.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, term.tmux, append([]string{"-N", "-u", "-S", tmuxSocket}, args...)...)
	cmd.Dir, cmd.Env = term.dir, term.env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("tmux %s: %w: %s", args[0], err, &stderr)
	}
	return stdout.String(), nil
}

// press presses keys, as tmux names them.
func (term *terminal) press(keys ...string) {
	term.t.Helper()
	if _, err := term.control(append([]string{"send-keys", "-t", "test"}, keys...)...); err != nil {
		term.t.Fatal(err)
	}
}

// enter types a line.
func (term *terminal) enter(line string) {
	term.t.Helper()
	if _, err := term.control("send-keys", "-t", "test", "-l", line); err != nil {
		term.t.Fatal(err)
	}
	term.press("Enter")
}

// start types a command. The shell tells its exit status afterwards.
func (term *terminal) start(command string) {
	term.t.Helper()
	term.entered++
	term.enter(fmt.Sprintf("%s; echo end%d=$?", command, term.entered))
}

// text is what the terminal shows of the last command, and what has scrolled away.
// Lines that the terminal has wrapped are whole.
func (term *terminal) text() (string, error) {
	all, err := term.control("capture-pane", "-t", "test", "-p", "-J", "-S", "-")
	if err != nil {
		return "", err
	}
	if term.entered == 0 {
		return all, nil
	}
	_, output, ok := strings.Cut(all, fmt.Sprintf("echo end%d=$?", term.entered))
	if !ok {
		return "", fmt.Errorf("the command is not there:\n%s", all)
	}
	return output, nil
}

// expect waits until what the terminal shows is right, and returns it.
func (term *terminal) expect(what string, right func(string) bool) string {
	term.t.Helper()
	var shown string
	proctest.Eventually(term.t, what, func() (err error) {
		if shown, err = term.text(); err == nil && !right(shown) {
			err = fmt.Errorf("the terminal shows\n%s", shown)
		}
		return err
	})
	return shown
}

// await waits until the terminal shows a text.
func (term *terminal) await(text string) string {
	term.t.Helper()
	return term.expect(fmt.Sprintf("%q in the terminal", text), func(shown string) bool { return strings.Contains(shown, text) })
}

// ends waits for the end of the command, compares its exit status, and returns
// what it has written.
func (term *terminal) ends(status int) string {
	term.t.Helper()
	mark := fmt.Sprintf("\nend%d=", term.entered)
	shown := term.expect("the end of the command", func(shown string) bool {
		_, rest, ended := strings.Cut(shown, mark)
		return ended && strings.Contains(rest, "\n")
	})
	output, rest, _ := strings.Cut(shown, mark)
	if got, _, _ := strings.Cut(rest, "\n"); got != strconv.Itoa(status) {
		term.t.Errorf("the exit status is %s, want %d:\n%s", got, status, output)
	}
	return output
}

// run types a command and waits for its end.
func (term *terminal) run(status int, command string) string {
	term.t.Helper()
	term.start(command)
	return term.ends(status)
}
