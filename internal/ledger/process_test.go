package ledger_test

import (
	"context"
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

// reopenerDirectory is an environment variable. It makes the test binary move
// its ledger from file to file in this directory, until the process is killed.
const reopenerDirectory = "PGBAILIFF_LEDGER_TEST_REOPENER"

// reopenUntilKilled continues with the last file of the directory. It prints
// how much is spent at start, and then the ID of every intent once it is
// durable. It opens a new file after every third signal.
func reopenUntilKilled(directory string) int {
	name := func(n int) string { return filepath.Join(directory, fmt.Sprintf("%06d", n)) }
	n := 0
	for {
		if _, err := os.Stat(name(n + 1)); err != nil {
			break
		}
		n++
	}
	l, err := ledger.Open(ledger.Config{File: name(n)}, log.NewNopLogger(), nil)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("spent", l.Spent("orders", time.Hour, noon.Add(time.Minute)))
	for i := 0; ; i++ {
		id := fmt.Sprintf("%d/%d", os.Getpid(), i)
		if got, err := l.Begin(context.Background(), intent("orders", id, noon), plenty); got != ledger.Allowed || err != nil {
			fmt.Println("not allowed", err)
			return 1
		}
		fmt.Println("intent", id)
		if i%3 > 0 {
			continue
		}
		n++
		if err := l.Reopen(context.Background(), name(n)); err != nil {
			fmt.Println(err)
			return 1
		}
	}
}
