package pgledger_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
)

// atMost are limits that nothing but this number of signals can reach.
func atMost(actions int) ledger.Limits {
	return ledger.Limits{Actions: actions, Window: model.Duration(time.Hour), SuspendAfter: 100, SuspendWindow: model.Duration(time.Hour)}
}

// Whoever wants the step of an owner that is gone gets its intent, so that the step
// has one. What the former owner may have sent counts on its own.
func TestAStepIsTakenOverWithItsIntent(t *testing.T) {
	s := database(t)
	a, b, c := opened(t, s, "a", nil), opened(t, s, "b", nil), opened(t, s, "c", nil)
	first := allowed(t, a, about(1, "first", policy.Cancel))
	gone(t, s, time.Second)
	if begun := begin(t, b, about(1, "second", policy.Cancel), atMost(1)); begun.Allowance != ledger.OverBudget {
		t.Errorf("a may have sent the only signal: %+v", begun)
	}
	var mu sync.Mutex
	var owners []replica
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			r := []replica{b, c}[i%2]
			begun, err := r.Begin(t.Context(), about(1, fmt.Sprint("again ", i), policy.Cancel), atMost(2))
			switch {
			case err != nil:
				t.Error(err)
			case begun.Allowance == ledger.Allowed:
				if begun.ID != "first" {
					t.Errorf("%+v", begun)
				}
				mu.Lock()
				owners = append(owners, r)
				mu.Unlock()
				outcome := became(about(1, begun.ID, policy.Cancel), ledger.Cancelled, true)
				outcome.Decision = "of the second"
				if err := r.Finish(t.Context(), outcome); err != nil {
					t.Error(err)
				}
			case begun.Allowance != ledger.Taken || begun.Became.Outcome != ledger.Cancelled:
				t.Errorf("%+v", begun)
			}
		})
	}
	all.Wait()
	if len(owners) != 1 {
		t.Fatalf("%d replicas may signal", len(owners))
	}
	if err := a.Finish(t.Context(), became(first, ledger.Gone, false)); !errors.Is(err, ledger.ErrNoIntent) {
		t.Errorf("the first owner's outcome: %v", err)
	}
	if begun := begin(t, a, about(2, "third", policy.Cancel), atMost(2)); begun.Allowance != ledger.OverBudget {
		t.Errorf("two may have been sent: %+v", begun)
	}
	if begun := begin(t, a, about(2, "third", policy.Cancel), atMost(3)); begun.Allowance != ledger.Allowed {
		t.Errorf("two may have been sent: %+v", begun)
	}
	want := []string{"intent first", "outcome first cancelled signalled", "intent third"}
	if diff := cmp.Diff(want, lines(t, s)); diff != "" {
		t.Errorf("the lines (-want +got):\n%s", diff)
	}
	if e := entries(t, s)[1]; e.Replica == "a" || e.Decision != "of the second" {
		t.Errorf("the outcome: %+v", e)
	}
}

// An order by hand counts for nothing, until an alert takes it over.
func TestAnAlertTakesOverAnOrderByHand(t *testing.T) {
	s := database(t)
	a, b := opened(t, s, "a", nil), opened(t, s, "b", nil)
	manual := about(1, "by hand", policy.Cancel)
	manual.Source = ledger.SourceManual
	allowed(t, a, manual)
	gone(t, s, time.Second)
	if begun := begin(t, b, about(1, "alert", policy.Cancel), atMost(1)); begun.Allowance != ledger.Allowed || begun.ID != "by hand" {
		t.Errorf("%+v", begun)
	}
	if begun := begin(t, b, about(2, "next", policy.Cancel), atMost(1)); begun.Allowance != ledger.OverBudget {
		t.Errorf("%+v", begun)
	}
	finish(t, b, became(about(1, "by hand", policy.Cancel), ledger.Cancelled, true))
	if begun := begin(t, b, about(2, "next", policy.Cancel), atMost(1)); begun.Allowance != ledger.OverBudget {
		t.Errorf("%+v", begun)
	}
}

// An owner that was only slow may say that it has signalled. It may not say that
// nothing was, because the other may be about to.
func TestAnOwnerThatWasOnlySlow(t *testing.T) {
	s := database(t)
	a, b := opened(t, s, "a", nil), opened(t, s, "b", nil)
	intent := allowed(t, a, about(1, "x", policy.Cancel))
	gone(t, s, time.Second)
	if begun := begin(t, b, about(1, "y", policy.Cancel), plenty); begun.Allowance != ledger.Allowed || begun.ID != "x" {
		t.Fatalf("%+v", begun)
	}
	if err := a.Finish(t.Context(), became(intent, ledger.Failed, false)); !errors.Is(err, ledger.ErrNoIntent) {
		t.Errorf("nothing was signalled: %v", err)
	}
	if _, err := a.Repin(t.Context(), intent); !errors.Is(err, ledger.ErrNoIntent) {
		t.Errorf("repin: %v", err)
	}
	finish(t, a, became(intent, ledger.Cancelled, true))
	if err := b.Finish(t.Context(), became(intent, ledger.Gone, false)); !errors.Is(err, ledger.ErrNoIntent) {
		t.Errorf("a second outcome: %v", err)
	}
	want := []string{"intent x", "outcome x cancelled signalled"}
	if diff := cmp.Diff(want, lines(t, s)); diff != "" {
		t.Errorf("the lines (-want +got):\n%s", diff)
	}
}

// Another step of a backend ends what an owner that is gone has left there. It
// counts as sent.
func TestAnotherStepEndsWhatWasLeft(t *testing.T) {
	s := database(t)
	a, b := opened(t, s, "a", nil), opened(t, s, "b", nil)
	allowed(t, a, about(1, "left", policy.Cancel))
	gone(t, s, time.Second)
	if begun := begin(t, b, about(1, "next", policy.Terminate), atMost(1)); begun.Allowance != ledger.OverBudget {
		t.Errorf("one may have been sent: %+v", begun)
	}
	if begun := begin(t, b, about(1, "next", policy.Terminate), atMost(2)); begun.Allowance != ledger.Allowed || begun.ID != "next" {
		t.Errorf("%+v", begun)
	}
	want := []string{"intent left", "outcome left failed signalled", "intent next"}
	if diff := cmp.Diff(want, lines(t, s)); diff != "" {
		t.Errorf("the lines (-want +got):\n%s", diff)
	}
	if e := entries(t, s)[1]; e.Replica != "b" || e.Decision != "of left" || !strings.Contains(e.Detail, "counts as sent") {
		t.Errorf("%+v", e)
	}
}

// What nobody wants any more is ended after a while, by one replica, once.
func TestWhatNobodyWantsIsEndedOnce(t *testing.T) {
	s := database(t)
	a, b, c := opened(t, s, "a", nil), opened(t, s, "b", nil), opened(t, s, "c", nil)
	limits := atMost(10)
	limits.SuspendAfter = 1
	if begun := begin(t, a, about(1, "left", policy.Cancel), limits); begun.Allowance != ledger.Allowed {
		t.Fatalf("%+v", begun)
	}
	manual := about(2, "by hand", policy.Cancel)
	manual.Source = ledger.SourceManual
	allowed(t, a, manual)
	gone(t, s, 9*time.Minute)
	b.EndOrphans(t.Context())
	if got := lines(t, s); len(got) != 2 {
		t.Errorf("too early: %q", got)
	}
	gone(t, s, 11*time.Minute)
	var all sync.WaitGroup
	for _, r := range []replica{a, b, c} {
		all.Go(func() { r.EndOrphans(t.Context()) })
	}
	all.Wait()
	want := []string{"intent left", "intent by hand", "outcome by hand failed signalled", "outcome left failed signalled"}
	got := lines(t, s)
	slices.Sort(got[2:])
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the lines (-want +got):\n%s", diff)
	}
	if got := strings.Count(a.log.String()+b.log.String()+c.log.String(), "Recorded an interrupted signal as failed"); got != 2 {
		t.Errorf("the logs say it %d times", got)
	}
	// It counts towards a suspension, which the next signal finds.
	if begun := begin(t, b, about(3, "next", policy.Cancel), limits); begun.Allowance != ledger.Suspended {
		t.Errorf("%+v", begun)
	}
	if !b.Suspended("orders") {
		t.Error("the copy does not know")
	}
	if got := pgtest.Value[int](t, s, "select count(*)::int from pgbailiff.entries where event = 'suspended'"); got != 1 {
		t.Errorf("%d lines say suspended", got)
	}
}

func TestRepin(t *testing.T) {
	s := database(t)
	a, b := opened(t, s, "a", nil), opened(t, s, "b", nil)
	intent := allowed(t, a, about(1, "x", policy.Cancel))
	moved := intent
	moved.QueryStart.Time = moved.QueryStart.Add(time.Second)
	if begun, err := a.Repin(t.Context(), moved); err != nil || begun.Allowance != ledger.Allowed || begun.ID != "x" {
		t.Errorf("%+v, %v", begun, err)
	}
	finish(t, a, became(moved, ledger.Cancelled, true))
	again := moved
	again.ID = "y"
	if begun := begin(t, b, again, plenty); begun.Allowance != ledger.Taken || begun.Became.ID != "x" {
		t.Errorf("the statement that it moved to: %+v", begun)
	}
	before := about(1, "z", policy.Cancel)
	allowed(t, b, before)
	if begun, err := b.Repin(t.Context(), ledger.Entry{
		ID: "z", Server: before.Server, SystemIdentifier: before.SystemIdentifier, Target: moved.Target, Facts: before.Facts, Action: before.Action,
	}); err != nil || begun.Allowance != ledger.Taken || begun.Became.ID != "x" {
		t.Errorf("to a statement that was signalled: %+v, %v", begun, err)
	}
	finish(t, b, became(before, ledger.Cancelled, false))
}

// Requests that wait hold no connection, so that others go on.
func TestWhoWaitsHoldsNoConnection(t *testing.T) {
	s := database(t)
	a, b := opened(t, s, "a", nil), opened(t, s, "b", nil)
	intent := allowed(t, a, about(1, "x", policy.Cancel))
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			begun, err := b.Begin(t.Context(), about(1, fmt.Sprint(i), policy.Cancel), plenty)
			if err != nil || begun.Allowance != ledger.Taken {
				t.Errorf("%+v, %v", begun, err)
			}
		})
	}
	s.WaitFor(t, "select count(*) > 0 from pg_stat_activity where application_name = 'pgbailiff-ledger' and query like '%unnest%'")
	allowed(t, b, about(2, "other", policy.Cancel))
	finish(t, a, became(intent, ledger.Cancelled, true))
	all.Wait()
}
