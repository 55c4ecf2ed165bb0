package pgledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/ledger/pgledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
)

// What another transaction commits while Begin waits for the server's lock counts:
// Begin reads nothing before it has the lock.
func TestBeginCountsWhatWasCommittedWhileItWaited(t *testing.T) {
	s := database(t)
	r := opened(t, s, "a", nil)
	allowed(t, r, about(1, "first", policy.Cancel))
	s.Exec(t, "update pgbailiff.signals set spent = false")
	other := s.Connect(t, "postgres")
	tx, err := other.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"select pg_advisory_xact_lock(" + pgledger.LockOf("orders") + ")",
		"update pgbailiff.signals set spent = true",
	} {
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	begun := make(chan ledger.Begun, 1)
	go func() {
		b, err := r.Begin(t.Context(), about(2, "second", policy.Cancel), atMost(1))
		for err != nil && t.Context().Err() == nil { // the wait for a lock is bounded
			b, err = r.Begin(t.Context(), about(2, "second", policy.Cancel), atMost(1))
		}
		begun <- b
	}()
	s.WaitFor(t, "select count(*) = 1 from pg_locks where locktype = 'advisory' and not granted")
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := <-begun; got.Allowance != ledger.OverBudget {
		t.Errorf("the budget is spent: %+v", got)
	}
}

// An approval that was written off, because its process seemed to be gone, is not
// carried out any more.
func TestAnApprovalThatWasWrittenOffBeginsNothing(t *testing.T) {
	s := database(t)
	r := opened(t, s, "a", nil)
	approved := func(id string) ledger.Entry {
		t.Helper()
		if _, _, err := r.Ask(t.Context(), newQuestion(id, id, noon)); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Answer(t.Context(), id, ledger.EventApproved, "ann", "", noon); err != nil {
			t.Fatal(err)
		}
		intent := ofServer(about(1, "intent of "+id, policy.Cancel), id)
		intent.Decision = id
		return intent
	}
	late, inTime := approved("late"), approved("in time")
	allowed(t, r, inTime)
	s.Exec(t, "update pgbailiff.questions set answered_at = answered_at - interval '1 hour'")
	if err := r.Expire(t.Context(), noon); err != nil {
		t.Fatal(err)
	}
	begun, err := r.Begin(t.Context(), late, plenty)
	if err == nil || begun.Allowance == ledger.Allowed || !strings.Contains(err.Error(), "late") {
		t.Errorf("%+v, %v", begun, err)
	}
	finish(t, r, became(inTime, ledger.Ignored, true))
	terminate := inTime
	terminate.ID, terminate.Action = "then", policy.Terminate
	allowed(t, r, terminate)
}

// A person's order that follows its transaction to a statement whose signal was
// ignored may signal it again, as if the order had named it.
func TestAnOrderByHandMovesToWhatWasIgnored(t *testing.T) {
	s := database(t)
	r := opened(t, s, "a", nil)
	ignored := about(1, "ignored", policy.Cancel)
	ignored.QueryStart.Time = ignored.QueryStart.Add(time.Second)
	finish(t, r, became(allowed(t, r, ignored), ledger.Ignored, true))
	byHand := about(1, "by hand", policy.Cancel)
	byHand.Source = ledger.SourceManual
	allowed(t, r, byHand)
	byHand.Target = ignored.Target
	if begun, err := r.Repin(t.Context(), byHand); err != nil || begun.Allowance != ledger.Allowed {
		t.Errorf("%+v, %v", begun, err)
	}
}
