//go:build heavy

package ledger_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A process is killed a hundred times at random instants. No line whose call had
// returned is lost, and the next process reads back the budget that the lines
// give.
func TestAKilledProcessLosesNoDurableLine(t *testing.T) {
	file := newFile(t)
	durable := map[string]bool{}
	for range 100 {
		want := fmt.Sprint("spent ", spentIn(t, file))
		cmd, said := startProcess(t, signallerFile+"="+file)
		for left := rand.IntN(40); said.Scan(); left-- {
			switch line := said.Text(); {
			case strings.HasPrefix(line, "intent "), strings.HasPrefix(line, "outcome "):
				durable[line] = true
			case line != want:
				t.Errorf("the new process says %q, the ledger %q", line, want)
			}
			if left == 0 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
			t.Fatalf("it was not killed: %v", err)
		}
	}

	torn := 0
	all := lines(t, file)
	t.Logf("%d lines", len(all))
	for _, line := range all {
		if line == nil {
			torn++
			continue
		}
		delete(durable, fmt.Sprint(line["event"], " ", line["id"]))
	}
	if len(durable) > 0 {
		t.Errorf("%d durable lines are lost: %v", len(durable), durable)
	}
	if torn > 100 {
		t.Errorf("%d lines are torn by 100 kills", torn)
	}
	l, _ := open(t, file)
	if got, want := l.Spent("orders", time.Hour, noon.Add(time.Minute)), spentIn(t, file); got != want || got == 0 {
		t.Errorf("%d are spent after the restart, %d by the ledger", got, want)
	}
}

// spentIn counts the intents in a file, without those whose outcome says that no
// signal was sent.
func spentIn(t *testing.T, file string) int {
	t.Helper()
	if _, err := os.Stat(file); err != nil {
		return 0
	}
	spent := map[any]bool{}
	for _, line := range lines(t, file) {
		switch {
		case line["event"] == "intent":
			spent[line["id"]] = true
		case line["event"] == "outcome" && line["signalled"] != true:
			delete(spent, line["id"])
		}
	}
	return len(spent)
}

// startProcess starts the test binary with an environment variable, and returns
// what it prints.
func startProcess(t *testing.T, environment string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), environment)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(stdout)
}

// A process is killed while it reopens file after file. The last file always has
// the budget of all files before it.
func TestAProcessKilledWhileItReopensKeepsTheBudget(t *testing.T) {
	directory := t.TempDir()
	spent := map[string]bool{}
	for round := range 50 {
		cmd, said := startProcess(t, reopenerDirectory+"="+directory)
		for left := 5 + rand.IntN(40); said.Scan(); left-- {
			verb, what, _ := strings.Cut(said.Text(), " ")
			switch verb {
			case "spent":
				// The last intent of a round may be durable and not printed.
				var n int
				if _, err := fmt.Sscan(what, &n); err != nil || n < len(spent) || n > len(spent)+round {
					t.Errorf("round %d: the new process says %s are spent, %d were durable (%v)", round, what, len(spent), err)
				}
			case "intent":
				spent[what] = true
			default:
				t.Errorf("the process says %q", said.Text())
			}
			if left == 0 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
			t.Fatalf("it was not killed: %v", err)
		}
	}
	if len(spent) < 100 {
		t.Errorf("only %d signals were sent in all rounds", len(spent))
	}
}
