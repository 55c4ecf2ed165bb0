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

// kill -9 between intent and outcome, a hundred times at random instants: no
// line that was promised is lost, and the budget that the next process reads
// back is the ledger's.
func TestAKilledProcessLosesNoLineThatItPromised(t *testing.T) {
	file := newFile(t)
	promised := map[string]bool{}
	for range 100 {
		want := fmt.Sprint("spent ", spentIn(t, file))
		cmd, said := startVictim(t, victimFile+"="+file)
		for left := rand.IntN(40); said.Scan(); left-- {
			switch line := said.Text(); {
			case strings.HasPrefix(line, "intent "), strings.HasPrefix(line, "outcome "):
				promised[line] = true
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
		delete(promised, fmt.Sprint(line["event"], " ", line["id"]))
	}
	if len(promised) > 0 {
		t.Errorf("%d lines were promised and are lost: %v", len(promised), promised)
	}
	if torn > 100 {
		t.Errorf("%d lines are torn by 100 kills", torn)
	}
	l, _ := open(t, file)
	if got, want := l.Spent("orders", time.Hour, noon.Add(time.Minute)), spentIn(t, file); got != want || got == 0 {
		t.Errorf("%d are spent after the restart, %d by the ledger", got, want)
	}
}

// spentIn counts what the lines of a file say: intents, but for those whose
// outcome says that no signal was sent.
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

// startVictim starts the test binary as a process to kill.
func startVictim(t *testing.T, environment string) (*exec.Cmd, *bufio.Scanner) {
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

// kill -9 while the ledger goes from file to file: whichever file is there, it
// has the budget of all before it.
func TestAProcessKilledBetweenTwoFilesForgetsNothing(t *testing.T) {
	directory := t.TempDir()
	spent := map[string]bool{}
	for round := range 50 {
		cmd, said := startVictim(t, moverDirectory+"="+directory)
		for left := 5 + rand.IntN(40); said.Scan(); left-- {
			verb, what, _ := strings.Cut(said.Text(), " ")
			switch verb {
			case "spent":
				// The last one may have been written down but not promised.
				var n int
				if _, err := fmt.Sscan(what, &n); err != nil || n < len(spent) || n > len(spent)+round {
					t.Errorf("round %d: the new process says %s are spent, %d were promised (%v)", round, what, len(spent), err)
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
		t.Error("this proves little")
	}
}
