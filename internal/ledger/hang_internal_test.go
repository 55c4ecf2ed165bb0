package ledger

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
)

func TestReopenAndCloseDoNotWaitForADiskThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, disk, path := onDisk(t)
		wake := disk.hang()
		var all sync.WaitGroup
		all.Go(func() { _ = l.Append(within(t, time.Hour), Entry{Time: noon, Server: "orders"}) })
		synctest.Wait()
		start := time.Now()
		if err := l.Reopen(context.Background(), path); !errors.Is(err, errDiskHangs) {
			t.Errorf("Reopen = %v", err)
		}
		if err := l.Close(); !errors.Is(err, errDiskHangs) {
			t.Errorf("Close = %v", err)
		}
		if took := time.Since(start); took > 2*diskTimeout {
			t.Errorf("both took %s", took)
		}
		wake()
		all.Wait()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A caller that has stopped waiting sends no signal. Its intent is removed from
// the queue, or, if it is being written already, gets an outcome.
func TestAnIntentIsReleasedWhenItsCallerStopsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, disk, path := onDisk(t)
		wake := disk.hang()
		var all sync.WaitGroup
		for _, id := range []string{"writing", "queued"} {
			all.Go(func() {
				got, err := beginEntry(within(t, time.Second), l, Entry{Time: noon, Server: "orders", ID: id}, plenty)
				if got == Allowed || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: %d, %v", id, got, err)
				}
			})
			synctest.Wait()
		}
		all.Wait()
		if got := l.Spent("orders", time.Hour, noon.Add(time.Second)); got != 0 {
			t.Errorf("%d are spent", got)
		}
		wake()
		// The ID of the removed intent can be used again.
		if got, err := beginEntry(t.Context(), l, Entry{Time: noon, Server: "orders", ID: "queued"}, plenty); got != Allowed || err != nil {
			t.Errorf("again: %d, %v", got, err)
		}
		if err := l.Finish(t.Context(), Entry{Time: noon, Server: "orders", ID: "queued", Outcome: Gone}); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		const want = "intent writing, outcome writing failed, intent queued, outcome queued gone"
		const other = "intent writing, intent queued, outcome writing failed, outcome queued gone"
		if got := events(t, path); got != want && got != other {
			t.Errorf("the file has %s", got)
		}
		l, err := Open(Config{File: path}, log.NewNopLogger(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Spent("orders", time.Hour, noon.Add(time.Second)); got != 0 {
			t.Errorf("%d are spent after a restart", got)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// An outcome is written even if its caller has stopped waiting. A refusal is not,
// because its caller has the error.
func TestAnOutcomeIsWrittenWhenItsCallerStopsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, disk, path := onDisk(t)
		for _, id := range []string{"a", "b"} {
			if got, err := beginEntry(t.Context(), l, Entry{Time: noon, Server: "orders", ID: id}, plenty); got != Allowed || err != nil {
				t.Fatal(got, err)
			}
		}
		wake := disk.hang()
		var all sync.WaitGroup
		for _, write := range []func(context.Context) error{
			func(ctx context.Context) error { return l.Finish(ctx, signalled("a")) }, // being written
			func(ctx context.Context) error { return l.Finish(ctx, signalled("b")) }, // in the queue
			func(ctx context.Context) error {
				return l.Append(ctx, Entry{Time: noon, Server: "orders", Outcome: Refused})
			},
		} {
			all.Go(func() {
				if err := write(within(t, time.Second)); !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		all.Wait()
		wake()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if got := events(t, path); got != "intent a, intent b, outcome a terminated, outcome b terminated" {
			t.Errorf("the file has %s", got)
		}
	})
}

// The operator was told that the suspension stays. It does, although the line
// about the resumption becomes durable later.
func TestAResumptionIsUndoneWhenItsCallerStopsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, disk, path := onDisk(t)
		one := plenty
		one.SuspendAfter = 1
		if got, err := beginEntry(t.Context(), l, Entry{Time: noon, Server: "orders", ID: "a"}, one); got != Allowed || err != nil {
			t.Fatal(got, err)
		}
		if err := l.Finish(t.Context(), signalled("a")); err != nil || !l.Suspended("orders") {
			t.Fatalf("Finish = %v, suspended %t", err, l.Suspended("orders"))
		}
		wake := disk.hang()
		if err := l.Resume(within(t, time.Second), "orders", "ann", noon); err == nil {
			t.Error("resumed on a disk that hangs")
		}
		wake()
		if err := l.Close(); err != nil || !l.Suspended("orders") {
			t.Errorf("Close = %v, suspended %t", err, l.Suspended("orders"))
		}
		if got := events(t, path); !strings.HasSuffix(got, "resumed, suspended") {
			t.Errorf("the file has %s", got)
		}
		if text, err := os.ReadFile(path); err != nil || strings.Count(string(text), "ann") != 1 {
			t.Errorf("not the person has suspended it: %s, %v", text, err)
		}
	})
}

// Reopen returned an error, so the old file stays, although the disk answers
// later.
func TestReopenIsUndoneWhenItsCallerStopsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, disk, path := onDisk(t)
		other := path + ".other"
		wake := disk.hang()
		var all sync.WaitGroup
		all.Go(func() { _ = l.Append(within(t, time.Hour), Entry{Time: noon, Server: "orders", Outcome: Refused}) })
		synctest.Wait()
		if err := l.Reopen(t.Context(), other); !errors.Is(err, errDiskHangs) {
			t.Errorf("Reopen = %v", err)
		}
		wake()
		all.Wait()
		if err := l.Append(t.Context(), Entry{Time: noon, Server: "orders", Outcome: Gone}); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if got := events(t, path); got != "outcome refused, outcome gone" {
			t.Errorf("the file has %s", got)
		}
		if _, err := os.Stat(other); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the other file: %v", err)
		}
	})
}

// The caller stops waiting while the writer switches files. If the path is new,
// the configuration keeps the old one, and so must the ledger. If the path is
// the same, a restart reads the new file at that path, so the ledger must use it.
func TestAfterAReopenThatTimedOutTheFileIsAtTheConfiguredPath(t *testing.T) {
	for name, tt := range map[string]struct{ suffix, before, after string }{
		"a new path":       {".other", "outcome refused, outcome refused, outcome gone", "checkpoint"},
		"after a rotation": {"", "outcome refused, outcome refused", "checkpoint, outcome gone"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, disk, path := onDisk(t)
				next, now := path+tt.suffix, path
				if next == path {
					now = path + ".1"
					if err := os.Rename(path, now); err != nil {
						t.Fatal(err)
					}
				}
				wake := disk.hang()
				var all sync.WaitGroup
				for range 2 {
					all.Go(func() { _ = l.Append(within(t, time.Hour), Entry{Time: noon, Server: "orders", Outcome: Refused}) })
					synctest.Wait()
				}
				reopened := make(chan error, 1)
				go func() { reopened <- l.Reopen(t.Context(), next) }()
				synctest.Wait()
				disk.answer() // to the first line; the second and Reopen are next
				if err := <-reopened; !errors.Is(err, errDiskHangs) {
					t.Errorf("Reopen = %v", err)
				}
				wake()
				all.Wait()
				if err := l.Append(t.Context(), Entry{Time: noon, Server: "orders", Outcome: Gone}); err != nil {
					t.Error(err)
				}
				if err := l.Close(); err != nil {
					t.Error(err)
				}
				if before, after := events(t, now), events(t, next); before != tt.before || after != tt.after {
					t.Errorf("before: %s\nafter: %s", before, after)
				}
			})
		})
	}
}

// beginEntry is Begin's answer without the rest, which a file gives no news in.
func beginEntry(ctx context.Context, l *Ledger, intent Entry, limits Limits) (Allowance, error) {
	begun, err := l.Begin(ctx, intent, limits)
	return begun.Allowance, err
}
