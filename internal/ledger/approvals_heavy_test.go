//go:build heavy

package ledger_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// A process that asks, answers and rotates is killed fifty times at random
// instants. No line whose call had returned is lost, the next process has
// exactly those questions that the files leave open, and each approval has
// either come to something or is recorded as failed.
func TestAKilledProcessLosesNoQuestionAndNoAnswer(t *testing.T) {
	directory := t.TempDir()
	durable := map[string]bool{}
	for range 50 {
		want := strings.TrimSpace("waiting " + leftOpen(t, directory))
		cmd, said := startProcess(t, askerDirectory+"="+directory)
		for left := rand.IntN(80); said.Scan(); left-- {
			switch event, _, _ := strings.Cut(said.Text(), " "); event {
			case "asked", "approved", "denied", "refused", "intent":
				durable[said.Text()] = true
			case "waiting":
				if got := strings.TrimSpace(said.Text()); got != want {
					t.Errorf("the new process says %q, the files %q", got, want)
				}
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

	files := filesOf(directory)
	l, _ := open(t, files[len(files)-1])
	checkGrammar(t, files...)
	cutOff, denied := 0, []string{}
	for _, file := range files {
		for _, line := range lines(t, file) {
			event, _ := line["event"].(string)
			if line["outcome"] == "refused" {
				event = "refused"
			}
			if line["outcome"] == "failed" && line["signalled"] == nil {
				cutOff++
			}
			id, _ := line["decision"].(string)
			delete(durable, event+" "+id)
			if event == "denied" {
				denied = append(denied, id)
			}
		}
	}
	t.Logf("%d files, %d denied, %d approvals were cut off", len(files), len(denied), cutOff)
	if len(durable) > 0 {
		t.Errorf("%d durable lines are lost: %v", len(durable), durable)
	}
	if cutOff == 0 || len(denied) == 0 || len(files) < 20 {
		t.Error("the kills have met no approval, or nothing was denied, or there were few rotations")
	}
	for _, id := range denied[max(0, len(denied)-1000):] {
		if _, err := l.Answer(t.Context(), id, ledger.EventApproved, "eve", "", noon); !errors.Is(err, ledger.ErrAnswered) {
			t.Errorf("approving %s, which is denied: %v", id, err)
		}
	}
}

func filesOf(directory string) []string {
	all, err := filepath.Glob(filepath.Join(directory, "??????"))
	if err != nil {
		return nil
	}
	return all
}

// leftOpen are the IDs of the questions of all files that have no end, oldest
// first.
func leftOpen(t *testing.T, directory string) string {
	t.Helper()
	open := map[string]string{} // ID by time and ID, which is their order
	for _, file := range filesOf(directory) {
		for _, line := range lines(t, file) {
			id, _ := line["id"].(string)
			switch line["event"] {
			case "asked":
				open[id] = fmt.Sprintf("%-40s", line["time"])
			case "approved", "denied", "expired":
				delete(open, id)
			}
		}
	}
	all := make([]string, 0, len(open))
	for id := range open {
		all = append(all, id)
	}
	slices.Sort(all)
	slices.SortStableFunc(all, func(a, b string) int { return strings.Compare(open[a], open[b]) })
	return strings.Join(all, " ")
}
