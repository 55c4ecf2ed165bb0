package ledger_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

func TestOnAFullDiskNobodyIsAsked(t *testing.T) {
	l, _ := open(t, "/dev/full")
	for range 2 {
		standing, _, err := l.Ask(t.Context(), question("orders", "A", noon))
		if standing != 0 || !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), "write the ledger: ") {
			t.Errorf("Ask = %d, %v", standing, err)
		}
		if _, err := l.Answer(t.Context(), "A", ledger.EventApproved, "ann", "", noon); !errors.Is(err, ledger.ErrNoApproval) {
			t.Errorf("Answer = %v", err)
		}
	}
	if err := l.Reloaded(t.Context(), "ann", noon); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Reloaded = %v", err)
	}
	if err := l.Expire(t.Context(), noon.Add(time.Hour)); err != nil || waiting(l, noon) != "" || len(l.Recent(10)) != 0 {
		t.Errorf("Expire = %v, %s waits, Recent = %v", err, waiting(l, noon), l.Recent(10))
	}
}

// The disk is full when a question is asked or answered, and has room later. What
// could not be written has not happened.
func TestAQuestionIsAskedAndAnsweredAgainAfterAFailedWrite(t *testing.T) {
	for _, event := range []ledger.Event{ledger.EventApproved, ledger.EventDenied} {
		file := newFile(t)
		l, out := open(t, file)
		other := question("stock", "B", noon)
		ask(t, l, question("orders", "A", noon), ledger.Waiting)
		for i, left := range []uint64{0, 1, 60} {
			restore := leave(t, file, left)
			_, answered := l.Answer(t.Context(), "A", event, "eve", "", noon)
			_, _, ask := l.Ask(t.Context(), other)
			restore()
			if !errors.Is(answered, syscall.EFBIG) || !errors.Is(ask, syscall.EFBIG) {
				t.Errorf("Answer = %v, Ask = %v", answered, ask)
			}
			if got := strings.Count(out.String(), "Ledger write failed"); got != 2*(i+1) {
				t.Errorf("the log has %d errors", got)
			}
			if got := waiting(l, noon); got != "A" || len(lines(t, file)) != 1 || len(l.Recent(10)) != 1 {
				t.Errorf("%s waits; the file has %v", got, lines(t, file))
			}
		}
		answer(t, l, "A", event, noon)
		if got := ask(t, l, other, ledger.Waiting); got.ID != "B" {
			t.Errorf("asked: %s", got.ID)
		}
		refuse(t, l, "A")
		checkGrammar(t, file)
		if got := column(t, file, event, "by"); !slices.Equal(got, []string{"ann"}) {
			t.Errorf("%s by %v", event, got)
		}
	}
}

// While the disk is full, everybody who answers learns that the question still
// waits. Nobody is told that another has answered.
func TestNoneOfManyAnswersCountsOnAFullDisk(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	ask(t, l, question("orders", "A", noon), ledger.Waiting)
	restore := noRoom(t)
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if _, err := l.Answer(context.Background(), "A", ledger.EventApproved, "ann", "", noon); !errors.Is(err, syscall.EFBIG) {
				t.Errorf("Answer = %v", err)
			}
		})
	}
	all.Wait()
	restore()
	answer(t, l, "A", ledger.EventApproved, noon)
}

// An expiry is a matter of the clock, and so is the end of an order that was
// approved. Their lines are written as soon as there is room, and before a new
// question about the same.
func TestTheEndOfAQuestionIsWrittenAgainAfterAFailedWrite(t *testing.T) {
	late := noon.Add(time.Hour)
	for name, tt := range map[string]struct {
		before func(t *testing.T, l *ledger.Ledger)
		end    func(ctx context.Context, l *ledger.Ledger) error
		event  ledger.Event
	}{
		"expired": {
			func(*testing.T, *ledger.Ledger) {},
			func(ctx context.Context, l *ledger.Ledger) error { return l.Expire(ctx, late) },
			ledger.EventExpired,
		},
		"the outcome of an approval": {
			func(t *testing.T, l *ledger.Ledger) { answer(t, l, "A", ledger.EventApproved, noon) },
			func(ctx context.Context, l *ledger.Ledger) error { return l.Append(ctx, refusal("orders", "A")) },
			ledger.EventOutcome,
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, next := range []string{"a question", "a rotation", "the end"} {
				file := newFile(t)
				l, _ := open(t, file)
				files := []string{file}
				ask(t, l, question("orders", "A", noon), ledger.Waiting)
				tt.before(t, l)
				restore := noRoom(t)
				if err := tt.end(t.Context(), l); !errors.Is(err, syscall.EFBIG) {
					t.Errorf("without room: %v", err)
				}
				if got := waiting(l, noon); got != "" {
					t.Errorf("%s waits", got)
				}
				if _, err := l.Answer(t.Context(), "A", ledger.EventApproved, "eve", "", noon); !errors.Is(err, ledger.ErrAnswered) {
					t.Errorf("Answer = %v", err)
				}
				restore()
				if next == "a rotation" {
					rotate(t, l, file, file+".1")
					files = []string{file + ".1", file}
				}
				if next != "the end" {
					if got := ask(t, l, question("orders", "B", late), ledger.Waiting); got.ID != "B" {
						t.Errorf("asked again: %s", got.ID)
					}
					// The end of the first does not end the second.
					if got := ask(t, l, question("orders", "C", late), ledger.Waiting); got.ID != "B" {
						t.Errorf("asked once more: %s", got.ID)
					}
				}
				l = reopened(t, l, file)
				checkGrammar(t, files...)
				if got := column(t, file, tt.event, "decision"); !slices.Equal(got, []string{"A"}) {
					t.Errorf("%s: lines of %v", next, got)
				}
				if got := waiting(l, noon); got != "" && next == "the end" || got != "B" && next != "the end" {
					t.Errorf("%s: %s waits after a restart", next, got)
				}
			}
		})
	}
}

// The disk is full at the start after a crash. Until the outcome of the approval
// is in a file, each new file has the approval.
func TestAnApprovalIsKeptUntilItsOutcomeIsWritten(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	ask(t, l, question("orders", "A", noon), ledger.Waiting)
	answer(t, l, "A", ledger.EventApproved, noon)
	rotate(t, l, file, file+".1")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	restore := noRoom(t)
	l, out := open(t, file)
	restore()
	if !strings.Contains(out.String(), "Ledger write failed") {
		t.Fatalf("the log says %s", out)
	}
	rotate(t, l, file, file+".2")
	text, err := os.ReadFile(file)
	if err != nil || strings.Count(string(text), `"approved":{`) != 1 || strings.Contains(string(text), `"outcome"`) {
		t.Errorf("the new file is %s, %v", text, err)
	}
	l = reopened(t, l, file)
	checkGrammar(t, file+".1", file+".2", file)
	if got := column(t, file, ledger.EventOutcome, "decision"); !slices.Equal(got, []string{"A"}) {
		t.Errorf("outcomes of %v", got)
	}
	rotate(t, l, file, file+".3")
	if text, err := os.ReadFile(file); err != nil || strings.Contains(string(text), "approved") {
		t.Errorf("the last file is %s, %v", text, err)
	}
}
