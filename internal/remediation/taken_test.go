package remediation_test

// In this file: another replica has taken the step. Time is synctest's, so the
// server is no real one; the claims of a real ledger are in replicas_test.go.

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// claims is a ledger that gives these answers to Begin and Repin, in turn; where
// there is none, or a nil one, the file's own.
type claims struct {
	*ledger.Ledger
	answers  []func() (ledger.Begun, error)
	answered func() // after each; nil: nothing
}

func (l *claims) next(own func() (ledger.Begun, error)) (ledger.Begun, error) {
	answer := own
	if l.answered != nil {
		defer l.answered()
	}
	if len(l.answers) > 0 {
		if l.answers[0] != nil {
			answer = l.answers[0]
		}
		l.answers = l.answers[1:]
	}
	return answer()
}

func (l *claims) Begin(ctx context.Context, intent ledger.Entry, limits ledger.Limits) (ledger.Begun, error) {
	return l.next(func() (ledger.Begun, error) { return l.Ledger.Begin(ctx, intent, limits) })
}

func (l *claims) Repin(ctx context.Context, intent ledger.Entry) (ledger.Begun, error) {
	return l.next(func() (ledger.Begun, error) { return l.Ledger.Repin(ctx, intent) })
}

// became is the answer that another replica has sent the signal.
func became(outcome ledger.Outcome) func() (ledger.Begun, error) {
	return func() (ledger.Begun, error) {
		return ledger.Begun{Allowance: ledger.Taken, Became: ledger.Entry{
			ID: "theirs", Outcome: outcome, Reason: policy.ReasonRule, Rule: "their rule", Signalled: true, Replica: "pod-b",
		}}, nil
	}
}

func underWay() (ledger.Begun, error) {
	return ledger.Begun{}, fmt.Errorf("begin: %w", ledger.ErrUnderWay)
}

func denied() (ledger.Begun, error) { return ledger.Begun{Allowance: ledger.OverBudget}, nil }

// An alert whose signal another replica has sent has that one's outcome as its own.
// It writes no line about it and does not count: the other replica does.
func TestAStepThatAnotherReplicaHasTaken(t *testing.T) {
	const retry = true
	for name, tc := range map[string]struct {
		answers  []func() (ledger.Begun, error)
		answered func(*testRemediator, *stubborn)
		outcome  ledger.Outcome
		reason   policy.Reason
		retry    bool
		signals  int      // of this replica
		lines    []string // of this replica
		counted  bool
	}{
		"cancelled": {
			answers: []func() (ledger.Begun, error){became(ledger.Cancelled)},
			outcome: ledger.Cancelled, reason: policy.ReasonRule,
		},
		"superseded": {
			answers: []func() (ledger.Begun, error){became(ledger.Superseded)},
			outcome: ledger.Superseded, reason: policy.ReasonRule,
		},
		"nobody knows": {
			answers: []func() (ledger.Begun, error){became(ledger.Failed)},
			outcome: ledger.Failed, reason: policy.ReasonRule, retry: retry,
		},
		"under way": {
			answers: []func() (ledger.Begun, error){underWay},
			outcome: ledger.Failed, reason: policy.ReasonRule, retry: retry,
		},
		"their cancel is ignored, and we terminate": {
			answers: []func() (ledger.Begun, error){became(ledger.Ignored)},
			outcome: ledger.Terminated, reason: policy.ReasonRule, signals: 1,
			lines: []string{"intent terminate", "terminated+"}, counted: true,
		},
		"their cancel is ignored, and they terminate": {
			answers: []func() (ledger.Begun, error){became(ledger.Ignored), became(ledger.Terminated)},
			outcome: ledger.Terminated, reason: policy.ReasonRule,
		},
		"their cancel is ignored, and they still terminate": {
			answers: []func() (ledger.Begun, error){became(ledger.Ignored), underWay},
			outcome: ledger.Failed, reason: policy.ReasonRule, retry: retry,
		},
		"their cancel is ignored, and we may not terminate": {
			answers: []func() (ledger.Begun, error){became(ledger.Ignored), denied},
			outcome: ledger.Ignored, reason: policy.ReasonOverBudget, lines: []string{"refused over_budget"},
		},
		"their cancel is ignored, and the mode has changed": {
			answers:  []func() (ledger.Begun, error){became(ledger.Ignored)},
			answered: func(b *testRemediator, _ *stubborn) { b.mode.Store(remediation.ModeOff) },
			outcome:  ledger.Ignored, reason: policy.ReasonRule,
		},
		"their cancel is ignored, and then it is gone": { // not cancelled: that was not this one's doing
			answers:  []func() (ledger.Begun, error){became(ledger.Ignored)},
			answered: func(_ *testRemediator, s *stubborn) { s.end() },
			outcome:  ledger.Gone, lines: []string{"gone"}, counted: true,
		},
		"their cancel is ignored, and it ends before our terminate": {
			answers:  []func() (ledger.Begun, error){became(ledger.Ignored)},
			answered: func(_ *testRemediator, s *stubborn) { s.signalling = s.end },
			outcome:  ledger.Gone, lines: []string{"intent terminate", "gone"}, counted: true,
		},
		"our cancel is ignored, and they terminate": {
			answers: []func() (ledger.Begun, error){nil, became(ledger.Terminated)},
			outcome: ledger.Terminated, reason: policy.ReasonRule, signals: 1,
			lines: []string{"intent cancel", "ignored+"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				out := &strings.Builder{}
				s := newStubborn(time.Second)
				b := onStubborn(t, s, out)
				b.claim(func() {
					if tc.answered != nil {
						tc.answered(b, s)
					}
				}, tc.answers...)
				got := b.remediate(t, time.Now(), ofStubborn)[0]
				if got.Outcome != tc.outcome || got.Reason != tc.reason || got.Action != policy.CancelThenTerminate && tc.outcome != ledger.Gone ||
					got.Retry != tc.retry || got.Signalled != (tc.signals > 0) || s.sent != tc.signals {
					t.Errorf("%d signals, and %+v", s.sent, got)
				}
				lines := b.ledger.Recent(10)
				slices.Reverse(lines)
				if len(lines) > 0 || len(tc.lines) > 0 {
					checkLines(t, lines, tc.lines...)
				}
				if n := b.counted(t); n != 0 != tc.counted {
					t.Errorf("%v orders are counted", n)
				}
				if strings.Contains(out.String(), "level=error") {
					t.Errorf("the log has an error:\n%s", out)
				}
			})
		})
	}
}

// Our intent is for a statement that is over, and another replica has signalled the
// next one: the intent ends as gone, and the request as what became of the other.
func TestANextStatementThatAnotherReplicaHasTaken(t *testing.T) {
	for name, tc := range map[string]struct {
		answer  func() (ledger.Begun, error)
		outcome ledger.Outcome
		lines   []string
	}{
		"cancelled":      {became(ledger.Cancelled), ledger.Cancelled, []string{"intent cancel", "gone"}},
		"ignored":        {became(ledger.Ignored), ledger.Terminated, []string{"intent cancel", "gone", "intent terminate", "terminated+"}},
		"under way":      {underWay, ledger.Failed, []string{"intent cancel", "gone"}},
		"without an end": {func() (ledger.Begun, error) { return ledger.Begun{}, context.DeadlineExceeded }, ledger.Failed, []string{"intent cancel", "failed"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStubborn(time.Second)
				b := onStubborn(t, s, &strings.Builder{})
				b.claim(nil, nil, tc.answer)
				s.signalling = func() { s.unjudged = s.sent == 0 && len(b.ledger.Recent(10)) == 1 }
				got := b.remediate(t, time.Now(), ofStubborn)[0]
				if got.Outcome != tc.outcome || got.Retry != (tc.outcome == ledger.Failed) {
					t.Errorf("%+v", got)
				}
				lines := b.ledger.Recent(10)
				slices.Reverse(lines)
				checkLines(t, lines, tc.lines...)
			})
		})
	}
}

// What a person has ordered has a line in any case, and counts.
func TestAPersonsOrderThatAnotherReplicaHasTaken(t *testing.T) {
	for name, answer := range map[string]func() (ledger.Begun, error){
		"cancelled": became(ledger.Cancelled), "failed": underWay,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStubborn(time.Second)
				b := onStubborn(t, s, &strings.Builder{})
				b.claim(nil, answer)
				fence, err := session.ParseFence(ofStubborn)
				fence.Server = "orders"
				got := b.remediator.Remediate(t.Context(), remediation.Manual("ann", "", remediation.Order{Action: policy.Cancel}, fence, err))
				lines := b.ledger.Recent(10)
				checkLines(t, lines, name)
				if string(got.Outcome) != name || s.sent != 0 || lines[0].By != "ann" || lines[0].ID != "" || lines[0].Decision != got.Decision {
					t.Errorf("%d signals, %+v; %+v", s.sent, got, lines)
				}
				if n := b.value(t, fmt.Sprintf("pgbailiff_manual_actions_total{action=cancel,outcome=%s,server=orders}", name)); n != 1 {
					t.Errorf("%v orders are counted", n)
				}
			})
		})
	}
}

// Of an approved order the ledger must say what came of it.
func TestAnApprovedOrderThatAnotherReplicaHasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := onStubborn(t, newStubborn(time.Second), &strings.Builder{}, rules(t, asks(policy.Cancel)))
		b.claim(nil, became(ledger.Cancelled))
		id := b.asked(t, ofStubborn.with("team", "dba"))
		if got := b.approve(t, id); got.Outcome != ledger.Cancelled || got.Retry {
			t.Errorf("%+v", got)
		}
		b.history(t, id, "asked", "approved", "cancelled")
		if n := b.value(t, total(ledger.Cancelled)); n != 0 {
			t.Errorf("%v orders are counted", n)
		}
	})
}

// The process was stopped between the claim and the signal, for so long that another
// replica may have taken the step over.
func TestAClaimThatIsTooOldIsNotUsed(t *testing.T) {
	for _, life := range []time.Duration{29 * time.Second, 31 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s := newStubborn(time.Second)
			b := onStubborn(t, s, &strings.Builder{}, rules(t))
			b.claim(func() { <-time.After(life) })
			got := b.remediate(t, time.Now(), ofStubborn.with("severity", "critical"))[0]
			late := life > 30*time.Second
			if got.Retry != late || got.Signalled == late || (s.sent == 0) != late || (got.Outcome == ledger.Failed) != late {
				t.Errorf("%s: %d signals, %+v", life, s.sent, got)
			}
			lines := b.ledger.Recent(10)
			slices.Reverse(lines)
			checkLines(t, lines, "intent terminate", map[bool]string{true: "failed", false: "terminated+"}[late])
		})
	}
}

// claim starts the Remediator anew on a ledger that answers so.
func (b *testRemediator) claim(answered func(), answers ...func() (ledger.Begun, error)) {
	b.over = &claims{Ledger: b.ledger, answers: answers, answered: answered}
	b.start()
}

// counted is how many orders of alerts are counted.
func (b *testRemediator) counted(t *testing.T) (n float64) {
	t.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == "pgbailiff_remediations_total" {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}
