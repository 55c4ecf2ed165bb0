package pgledger_test

import (
	"context"
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

func TestAnIntentAndItsOutcomeAreLines(t *testing.T) {
	s := database(t)
	r := opened(t, s, "pod-1", nil)
	before := pgtest.Value[time.Time](t, s, "select clock_timestamp()")
	intent := allowed(t, r, about(1, "a", policy.Cancel))
	outcome := became(intent, ledger.Cancelled, true)
	outcome.Decision = ""
	outcome.Time = noon.Add(-time.Hour) // a replica's clock does not count
	finish(t, r, outcome)
	want := []string{"intent a", "outcome a cancelled signalled"}
	if diff := cmp.Diff(want, lines(t, s)); diff != "" {
		t.Fatalf("the lines (-want +got):\n%s", diff)
	}
	for _, e := range entries(t, s) {
		if e.Decision != "of a" || e.Replica != "pod-1" || e.PID != 1 || !e.QueryStart.Equal(intent.QueryStart.Time) {
			t.Errorf("%+v", e)
		}
		if e.Query != "select 'a \uFFFD and <b>'" {
			t.Errorf("the query is %q", e.Query)
		}
	}
	if got := pgtest.Value[bool](t, s, "select bool_and(time between $1 and clock_timestamp() and server = 'orders' and id = 'a' and replica = 'pod-1') from pgbailiff.entries", before); !got {
		t.Error("the columns are wrong")
	}
	if err := r.Finish(t.Context(), outcome); !errors.Is(err, ledger.ErrNoIntent) {
		t.Errorf("a second outcome: %v", err)
	}
	if err := r.Finish(t.Context(), ofServer(became(intent, ledger.Gone, false), "stock")); !errors.Is(err, ledger.ErrNoIntent) {
		t.Errorf("of another server: %v", err)
	}
	if len(lines(t, s)) != 2 {
		t.Error("something more was written")
	}
	for _, id := range []string{"a", ""} {
		if _, err := r.Begin(t.Context(), about(2, id, policy.Cancel), plenty); err == nil || !strings.Contains(err.Error(), "ID") {
			t.Errorf("the ID %q: %v", id, err)
		}
	}
}

// What became of a step is the answer to everybody who wants it again, unless it
// may be begun again.
func TestAStepIsBegunAgainOnlyIfNothingIsKnownToHaveCome(t *testing.T) {
	s := database(t)
	a, b := opened(t, s, "a", nil), opened(t, s, "b", nil)
	for i, c := range []struct {
		outcome   ledger.Outcome
		signalled bool
		again     bool // for alerts
		byHand    bool
	}{
		{outcome: ledger.Cancelled, signalled: true},
		{outcome: ledger.Terminated, signalled: true},
		{outcome: ledger.Superseded, signalled: true},
		{outcome: ledger.Ignored, signalled: true, byHand: true},
		{outcome: ledger.Gone, signalled: true},
		{outcome: ledger.Gone},
		{outcome: ledger.Refused, again: true, byHand: true},
		{outcome: ledger.Failed, again: true, byHand: true},
		{outcome: ledger.Failed, signalled: true, again: true, byHand: true},
	} {
		name := fmt.Sprintf("%s, signalled %t", c.outcome, c.signalled)
		for _, source := range []string{ledger.SourceAlert, ledger.SourceManual} {
			pid := 100 + 2*i
			if source == ledger.SourceManual {
				pid++
			}
			id := fmt.Sprint(pid)
			finish(t, a, became(allowed(t, a, about(pid, id, policy.Cancel)), c.outcome, c.signalled))
			second := about(pid, id+" again", policy.Cancel)
			second.Source = source
			want := c.again
			if source == ledger.SourceManual {
				want = c.byHand
			}
			begun := begin(t, b, second, plenty)
			switch {
			case want && (begun.Allowance != ledger.Allowed || begun.ID != second.ID):
				t.Errorf("%s: %s may not again: %+v", name, source, begun)
			case !want && (begun.Allowance != ledger.Taken || begun.Became.Outcome != c.outcome || begun.Became.Replica != "a" || begun.Became.ID != id):
				t.Errorf("%s: %s gets %+v", name, source, begun)
			case !want && time.Since(begun.Became.Time).Abs() > time.Hour:
				t.Errorf("%s: at %s", name, begun.Became.Time)
			}
			if terminate := about(pid, id+" terminate", policy.Terminate); !want {
				allowed(t, b, terminate)
			}
		}
	}
}

// Sixteen requests over three replicas want the same step: one may signal, and the
// others have its outcome.
func TestOneOfManyMaySignal(t *testing.T) {
	s := database(t)
	replicas := []replica{opened(t, s, "a", nil), opened(t, s, "b", nil), opened(t, s, "c", nil)}
	for round := range 5 {
		var mu sync.Mutex
		got := map[string]int{}
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				r, intent := replicas[i%3], about(round, fmt.Sprint(round, "-", i), policy.Cancel)
				begun, err := r.Begin(t.Context(), intent, plenty)
				answer := ""
				switch {
				case err != nil:
					answer = err.Error()
				case begun.Allowance == ledger.Allowed:
					answer = "allowed"
					if err := r.Finish(t.Context(), became(intent, ledger.Cancelled, true)); err != nil {
						t.Error(err)
					}
				case begun.Allowance == ledger.Taken:
					answer = string(begun.Became.Outcome)
				}
				mu.Lock()
				defer mu.Unlock()
				got[answer]++
			})
		}
		all.Wait()
		if diff := cmp.Diff(map[string]int{"allowed": 1, "cancelled": 15}, got); diff != "" {
			t.Errorf("round %d: %s", round, diff)
		}
	}
	if got := lines(t, s); len(got) != 10 {
		t.Errorf("%d lines: %q", len(got), got)
	}
}

// Two steps of one backend are not under way at the same time, whatever the server
// is called, and the one that waits is bounded by its context.
func TestOneBackendHasOneStepUnderWay(t *testing.T) {
	s := database(t)
	a, b := opened(t, s, "a", nil), opened(t, s, "b", nil)
	cancel := allowed(t, a, about(1, "cancel", policy.Cancel))
	terminate := about(1, "terminate", policy.Terminate)
	terminate.Server = "the same by another name"
	short, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	for id, r := range map[string]replica{"at a": a, "at b": b} { // an ID whose Begin was given up is not used again
		tried := terminate
		tried.ID = id
		if _, err := r.Begin(short, tried, plenty); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	}
	done := make(chan error, 1)
	go func() {
		begun, err := b.Begin(t.Context(), terminate, plenty)
		if err == nil && begun.Allowance != ledger.Allowed {
			err = fmt.Errorf("%+v", begun)
		}
		done <- err
	}()
	s.WaitFor(t, "select count(*) > 0 from pg_stat_activity where application_name = 'pgbailiff-ledger' and query like '%unnest%'")
	select {
	case err := <-done:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	finish(t, a, became(cancel, ledger.Ignored, true))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	want := []string{"intent cancel", "outcome cancel ignored signalled", "intent terminate"}
	if diff := cmp.Diff(want, lines(t, s)); diff != "" {
		t.Errorf("the lines (-want +got):\n%s", diff)
	}
}

func TestAWaitNamesWhoHasItUnderWay(t *testing.T) {
	s := database(t)
	a, b := opened(t, s, "pod-a", nil), opened(t, s, "pod-b", nil)
	allowed(t, a, about(77, "x", policy.Cancel))
	waits := func() {
		s.WaitFor(t, "select count(*) > 0 from pg_stat_activity where application_name = 'pgbailiff-ledger' and query like '%unnest%'")
	}
	err := given(t, beginning(b, about(77, "y", policy.Cancel)), waits)
	for _, part := range []string{"cancel", "77", "orders", "pod-a"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
	if up(t, b) != 1 || strings.Contains(b.log.String(), "write failed") {
		t.Errorf("waiting is no failure of the ledger: up %v\n%s", up(t, b), b.log)
	}
}

func TestTheBudgetHoldsOverAllReplicas(t *testing.T) {
	s := database(t)
	// Whoever counts takes a while, so that all would count the same without a lock.
	s.Exec(t, "create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.02); return new; end $$",
		"create trigger slow before insert on pgbailiff.entries for each row execute function slow()")
	replicas := []replica{opened(t, s, "a", nil), opened(t, s, "b", nil), opened(t, s, "c", nil)}
	limits := ledger.Limits{Actions: 7, Window: model.Duration(time.Hour), SuspendAfter: 100, SuspendWindow: model.Duration(time.Hour)}
	var mu sync.Mutex
	got := map[ledger.Allowance]int{}
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			begun, err := replicas[i%3].Begin(t.Context(), about(i, fmt.Sprint(i), policy.Cancel), limits)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			got[begun.Allowance]++
		})
	}
	all.Wait()
	if diff := cmp.Diff(map[ledger.Allowance]int{ledger.Allowed: 7, ledger.OverBudget: 53}, got); diff != "" {
		t.Error(diff)
	}
	if other := begin(t, replicas[0], ofServer(about(1, "other", policy.Cancel), "stock"), limits); other.Allowance != ledger.Allowed {
		t.Errorf("another server: %+v", other)
	}
	manual := about(1000, "by hand", policy.Cancel)
	manual.Source = ledger.SourceManual
	if begun := begin(t, replicas[0], manual, limits); begun.Allowance != ledger.Allowed {
		t.Errorf("by hand: %+v", begun)
	}
}

// One replica's signal suspends the server for all, until one of them resumes.
func TestASuspensionIsForAllReplicas(t *testing.T) {
	s := database(t)
	a, b := opened(t, s, "a", nil), opened(t, s, "b", nil)
	limits := ledger.Limits{Actions: 100, Window: model.Duration(time.Hour), SuspendAfter: 2, SuspendWindow: model.Duration(time.Hour)}
	one, two := about(1, "1", policy.Cancel), about(2, "2", policy.Cancel)
	for _, e := range []ledger.Entry{one, two} {
		if begun := begin(t, a, e, limits); begun.Allowance != ledger.Allowed {
			t.Fatalf("%+v", begun)
		}
	}
	if begun := begin(t, b, about(3, "3", policy.Cancel), limits); begun.Allowance != ledger.OverBudget {
		t.Errorf("two are under way: %+v", begun)
	}
	finish(t, a, became(one, ledger.Cancelled, true))
	finish(t, b, became(two, ledger.Cancelled, true)) // taken by whoever knows that it was sent
	for _, r := range []replica{a, b} {
		if begun := begin(t, r, about(3, "3", policy.Cancel), limits); begun.Allowance != ledger.Suspended {
			t.Errorf("%+v", begun)
		}
	}
	if err := a.Resume(t.Context(), "orders", "ann", noon); err != nil {
		t.Fatal(err)
	}
	if begun := begin(t, b, about(3, "3", policy.Cancel), limits); begun.Allowance != ledger.Allowed {
		t.Errorf("after the resumption: %+v", begun)
	}
	got := lines(t, s)
	want := []string{
		"intent 1", "intent 2", "outcome 1 cancelled signalled", "outcome 2 cancelled signalled", "suspended", "resumed", "intent 3",
	}
	if !slices.Equal(want, got) {
		t.Errorf("%q", got)
	}
	if !strings.Contains(b.log.String(), "suspended after too many signals") {
		t.Errorf("the log of b: %s", b.log)
	}
}
