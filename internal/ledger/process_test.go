package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// signallerFile is an environment variable. It makes the test binary write
// signals to the ledger that it names, until the process is killed.
const signallerFile = "PGBAILIFF_LEDGER_TEST_SIGNALLER"

// signalUntilKilled prints how much is spent at start, and then the event and
// the ID of every line once it is durable.
func signalUntilKilled(file string) int {
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
				if got, err := beginEntry(context.Background(), l, intent("orders", id, noon), plenty); got != ledger.Allowed || err != nil {
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

// reopenerDirectory is an environment variable. It makes the test binary move
// its ledger from file to file in this directory, until the process is killed.
const reopenerDirectory = "PGBAILIFF_LEDGER_TEST_REOPENER"

// reopenUntilKilled continues with the last file of the directory. It prints
// how much is spent at start, and then the ID of every intent once it is
// durable. It opens a new file after every third signal.
func reopenUntilKilled(directory string) int {
	n := lastFile(directory)
	l, err := ledger.Open(ledger.Config{File: numbered(directory, n)}, log.NewNopLogger(), nil)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("spent", l.Spent("orders", time.Hour, noon.Add(time.Minute)))
	for i := 0; ; i++ {
		id := fmt.Sprintf("%d/%d", os.Getpid(), i)
		if got, err := beginEntry(context.Background(), l, intent("orders", id, noon), plenty); got != ledger.Allowed || err != nil {
			fmt.Println("not allowed", err)
			return 1
		}
		fmt.Println("intent", id)
		if i%3 > 0 {
			continue
		}
		n++
		if err := l.Reopen(context.Background(), numbered(directory, n)); err != nil {
			fmt.Println(err)
			return 1
		}
	}
}

// numbered is the path of a file in the directory.
func numbered(directory string, n int) string {
	return filepath.Join(directory, fmt.Sprintf("%06d", n))
}

// lastFile is the highest number of a file in the directory.
func lastFile(directory string) int {
	n := 0
	for {
		if _, err := os.Stat(numbered(directory, n+1)); err != nil {
			return n
		}
		n++
	}
}

// askerDirectory is an environment variable. It makes the test binary ask and
// answer questions, and move its ledger from file to file in this directory,
// until the process is killed.
const askerDirectory = "PGBAILIFF_LEDGER_TEST_ASKER"

// askUntilKilled prints what waits at start, and then the event and the ID of
// every line about a question once it is durable. It answers most questions; of
// the approved ones half are refused and half get a signal.
func askUntilKilled(directory string) int {
	n := lastFile(directory)
	l, err := ledger.Open(ledger.Config{File: numbered(directory, n)}, log.NewNopLogger(), nil)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("waiting", waiting(l, noon))
	ctx := context.Background()
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := 0; ; i++ {
				e := question("orders", fmt.Sprintf("%d/%d/%d", os.Getpid(), g, i), noon.Add(time.Duration(i)*time.Second))
				e.PID, e.XactStart.Time = int32(os.Getpid()), noon.Add(time.Duration(g)*time.Hour+time.Duration(i)*time.Microsecond)
				if err := decide(ctx, l, e, i); err != nil {
					fmt.Println(err)
					return
				}
				if g == 0 && i%3 == 2 {
					n++
					if err := l.Reopen(ctx, numbered(directory, n)); err != nil {
						fmt.Println(err)
						return
					}
				}
			}
		})
	}
	all.Wait()
	return 1
}

// decide asks a question, and does the i-th kind of thing about it.
func decide(ctx context.Context, l *ledger.Ledger, e ledger.Entry, i int) error {
	if i%6 == 2 {
		e.Until = noon.Add(1)
	}
	if standing, _, err := l.Ask(ctx, e); err != nil || standing != ledger.Waiting {
		return fmt.Errorf("standing %d: %w", standing, err)
	}
	fmt.Println("asked", e.ID)
	event := ledger.EventApproved
	switch {
	case i%6 == 0 && len(l.Approvals(noon)) < 300:
		return nil
	case i%6 == 1:
		event = ledger.EventDenied
	case i%6 == 2:
		if err := l.Expire(ctx, e.Until); err != nil {
			return err
		}
	}
	_, err := l.Answer(ctx, e.ID, event, "ann", "", noon)
	if errors.Is(err, ledger.ErrAnswered) { // it has expired
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Println(event, e.ID)
	if event == ledger.EventDenied {
		return nil
	}
	if i%2 == 0 {
		if err := l.Append(ctx, refusal("orders", e.ID)); err != nil {
			return err
		}
		fmt.Println("refused", e.ID)
		return nil
	}
	signal := intent("orders", "of "+e.ID, noon)
	signal.Decision = e.ID
	if got, err := beginEntry(ctx, l, signal, plenty); err != nil || got != ledger.Allowed {
		return fmt.Errorf("allowance %d: %w", got, err)
	}
	fmt.Println("intent", e.ID)
	return l.Finish(ctx, ledger.Entry{Time: noon, Server: "orders", ID: signal.ID, Outcome: ledger.Cancelled, Signalled: true})
}
