package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
)

func asking(id string) Entry {
	return Entry{
		Time: noon, ID: id, Server: "orders", Target: Target{PID: 42}, Action: "cancel",
		Question: Question{Until: noon.Add(time.Hour)},
	}
}

// waits are the IDs of what waits.
func waits(l *Ledger) string {
	var all []string
	for _, e := range l.Approvals(noon) {
		all = append(all, e.ID)
	}
	return strings.Join(all, " ")
}

// restarted is a ledger that reads the file back after the writer has stopped.
func restarted(t *testing.T, l *Ledger, path string) *Ledger {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	l, err := Open(Config{File: path}, log.NewNopLogger(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A caller that has stopped waiting was told that nobody was asked, so nothing
// waits. The one who asks the same meanwhile asks anew.
func TestAQuestionIsWithdrawnWhenItsCallerStopsWaiting(t *testing.T) {
	for _, hasBegun := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			l, disk, path := onDisk(t)
			wake := disk.hang()
			var all sync.WaitGroup
			if !hasBegun {
				all.Go(func() { _ = l.Append(within(t, time.Hour), Entry{Time: noon, Server: "orders", Outcome: Refused}) })
				synctest.Wait()
			}
			all.Go(func() {
				standing, _, err := l.Ask(within(t, time.Second), asking("A"))
				if standing != 0 || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Ask = %d, %v", standing, err)
				}
			})
			synctest.Wait()
			all.Go(func() { // it waits until it is known whether the first is asked
				if standing, e, err := l.Ask(within(t, time.Hour), asking("B")); standing != Waiting || e.ID != "B" || err != nil {
					t.Errorf("the second: %d, %s, %v", standing, e.ID, err)
				}
			})
			all.Go(func() {
				if standing, _, err := l.Ask(within(t, time.Second), asking("C")); standing != 0 || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("the third: %d, %v", standing, err)
				}
			})
			<-within(t, 2*time.Second).Done()
			synctest.Wait()
			if got := waits(l); got != "" {
				t.Errorf("%s waits", got)
			}
			wake()
			all.Wait()
			l = restarted(t, l, path)
			if got := waits(l); got != "B" {
				t.Errorf("%s waits after a restart", got)
			}
			want := []string{"asked A pending, expired A, asked B pending", "asked A pending, asked B pending, expired A"}
			if !hasBegun {
				want = []string{"outcome refused, asked B pending"}
			}
			if got := events(t, path); !slices.Contains(want, got) {
				t.Errorf("the file has %s", got)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// The caller carries out nothing. If its line becomes durable, the answer counts,
// and the ledger says what has come of it. If not, the question still waits. The
// next person learns which of the two it is.
func TestAnAnswerWhoseCallerStopsWaiting(t *testing.T) {
	for _, tt := range []struct {
		answer   Event
		hasBegun bool // to be written
		want     []string
	}{
		{EventApproved, true, []string{
			"asked A pending, approved A, outcome failed, asked B pending",
			"asked A pending, approved A, asked B pending, outcome failed",
		}},
		{EventDenied, true, []string{"asked A pending, denied A"}},
		{EventApproved, false, []string{"asked A pending, outcome refused, approved A"}},
		{EventDenied, false, []string{"asked A pending, outcome refused, approved A"}},
	} {
		t.Run(fmt.Sprint(tt.answer, " ", tt.hasBegun), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, disk, path := onDisk(t)
				if standing, _, err := l.Ask(t.Context(), asking("A")); standing != Waiting || err != nil {
					t.Fatal(standing, err)
				}
				wake := disk.hang()
				var all sync.WaitGroup
				if !tt.hasBegun {
					all.Go(func() { _ = l.Append(within(t, time.Hour), Entry{Time: noon, Server: "orders", Outcome: Refused}) })
					synctest.Wait()
				}
				all.Go(func() {
					if _, err := l.Answer(within(t, time.Second), "A", tt.answer, "ann", "", noon); !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("Answer = %v", err)
					}
				})
				synctest.Wait()
				succeeded := 0
				var mu sync.Mutex // guards succeeded
				for range 10 {
					all.Go(func() {
						_, err := l.Answer(within(t, time.Hour), "A", EventApproved, "eve", "", noon)
						mu.Lock()
						defer mu.Unlock()
						if err == nil {
							succeeded++
						} else if !errors.Is(err, ErrAnswered) {
							t.Errorf("another Answer = %v", err)
						}
					})
				}
				synctest.Wait()
				if got := waits(l); got != "A" {
					t.Errorf("%q waits while the answer is being written", got)
				}
				if err := l.Expire(t.Context(), noon.Add(2*time.Hour)); err != nil {
					t.Errorf("Expire = %v", err)
				}
				<-within(t, 2*time.Second).Done()
				wake()
				all.Wait()
				if want := map[bool]int{false: 1}[tt.hasBegun]; succeeded != want {
					t.Errorf("%d of the others succeeded, want %d", succeeded, want)
				}
				standing, e, err := l.Ask(t.Context(), asking("B"))
				switch {
				case tt.hasBegun && tt.answer == EventDenied && (standing != Denied || e.By != "ann"),
					tt.hasBegun && tt.answer == EventApproved && (standing != Waiting || e.ID != "B"),
					!tt.hasBegun && (standing != Waiting || e.ID != "A"):
					t.Errorf("asked again: %d, %s, %v", standing, e.ID, err)
				}
				if err := l.Close(); err != nil {
					t.Error(err)
				}
				if got := events(t, path); !slices.Contains(tt.want, got) {
					t.Errorf("the file has %s", got)
				}
			})
		})
	}
}

// A caller that waits for another's answer stops when its own time is over.
func TestOneWhoWaitsForAnotherAnswerStopsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, disk, path := onDisk(t)
		if standing, _, err := l.Ask(t.Context(), asking("A")); standing != Waiting || err != nil {
			t.Fatal(standing, err)
		}
		wake := disk.hang()
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := l.Answer(within(t, time.Hour), "A", EventApproved, "ann", "", noon); err != nil {
				t.Errorf("Answer = %v", err)
			}
		})
		synctest.Wait()
		start := time.Now()
		if _, err := l.Answer(within(t, time.Second), "A", EventDenied, "eve", "", noon); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("another Answer = %v", err)
		}
		if standing, _, err := l.Ask(within(t, time.Second), asking("B")); standing != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Ask = %d, %v", standing, err)
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("both took %s", took)
		}
		wake()
		all.Wait()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if got := events(t, path); got != "asked A pending, approved A" {
			t.Errorf("the file has %s", got)
		}
	})
}

// A question that is asked or answered just before a rotation has that line in the
// new file. The checkpoint must not have it too.
func TestACheckpointHasOnlyWhatIsWrittenOfAQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, disk, path := onDisk(t)
		for _, id := range []string{"A", "B"} {
			e := asking(id)
			e.PID = int32(id[0])
			if standing, _, err := l.Ask(t.Context(), e); standing != Waiting || err != nil {
				t.Fatal(standing, err)
			}
		}
		wake := disk.hang()
		var all sync.WaitGroup
		for _, do := range []func(context.Context) error{
			func(ctx context.Context) error { return l.Append(ctx, Entry{Time: noon, Server: "orders"}) },
			func(ctx context.Context) error { return l.Reopen(ctx, path+".next") },
			func(ctx context.Context) error {
				_, _, err := l.Ask(ctx, asking("C"))
				return err
			},
			func(ctx context.Context) error {
				_, err := l.Answer(ctx, "A", EventApproved, "ann", "", noon)
				return err
			},
			func(ctx context.Context) error {
				_, err := l.Answer(ctx, "B", EventDenied, "ann", "", noon)
				return err
			},
		} {
			all.Go(func() {
				if err := do(within(t, 4*time.Second)); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		wake()
		all.Wait()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		text, err := os.ReadFile(path + ".next")
		if err != nil {
			t.Fatal(err)
		}
		for what, want := range map[string]int{
			`"waiting":{`: 2, `"approved":{`: 0, `"denied":{`: 0,
			`"event":"asked"`: 1, `"event":"approved"`: 1, `"event":"denied"`: 1,
		} {
			if got := strings.Count(string(text), what); got != want {
				t.Errorf("%d times %s in the new file:\n%s", got, what, text)
			}
		}
	})
}
