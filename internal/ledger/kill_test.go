package ledger_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// victimFile is the environment variable that makes of the test binary a
// process which writes to the ledger that it names until it is killed.
const victimFile = "PGBAILIFF_LEDGER_TEST_VICTIM"

// victim says how much is spent, and then the id of every line once its call
// has returned.
func victim(file string) int {
	l, err := ledger.Open(ledger.Config{File: file}, log.NewNopLogger(), nil)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("spent", l.Spent("orders", time.Hour, noon.Add(time.Minute)))
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d/%d/%d", os.Getpid(), g, i)
				if got, err := l.Begin(context.Background(), intent("orders", id, noon), plenty); got != ledger.Allowed || err != nil {
					fmt.Println("not allowed", err)
					return
				}
				fmt.Println("intent", id)
				signalled := i%3 > 0
				if err := l.Finish(context.Background(), outcome("orders", id, noon, signalled)); err != nil {
					fmt.Println(err)
					return
				}
				fmt.Println("outcome", id)
			}
		})
	}
	all.Wait()
	return 1
}

// kill -9 between intent and outcome, a hundred times at random instants: no
// line that was promised is lost, and the budget that the next process reads
// back is the ledger's.
func TestAKilledProcessLosesNoLineThatItPromised(t *testing.T) {
	file := newFile(t)
	promised := map[string]bool{}
	for range 100 {
		want := fmt.Sprint("spent ", spentIn(t, file))
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), victimFile+"="+file)
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said := bufio.NewScanner(stdout)
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
