package remediation

import (
	"context"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
)

// maxLabels bounds the labels of an alert that waits for a person, in bytes. They
// are kept to decide anew, so they cannot be shortened.
const maxLabels = 16 << 10

// person asks a person where the rule wants one. What a person has approved is
// one action; if the policy orders another one by now, that was not approved.
func (o *order) person(ctx context.Context, t target) *ending {
	switch {
	case o.approved == nil && t.decision.Approval:
		return o.record.ask(ctx, t)
	case o.approved != nil && o.approved.Action != t.decision.Action:
		return t.refused(policy.ReasonApproval, "approved was "+string(o.approved.Action)+", which is not what policy orders now")
	}
	return nil
}

// ask asks a person, unless one was asked about the same already. The ending says
// how that stands.
func (r *record) ask(ctx context.Context, t target) *ending {
	shared, now := r.remediator.shared, time.Now()
	size := 0
	for name, value := range r.request.Labels {
		size += len(name) + len(value)
	}
	if size > maxLabels {
		return t.refused(policy.ReasonBadLabel, "the alert's labels are too long to wait for a person")
	}
	e := t.ending(ledger.Pending, "")
	e.reason = policy.ReasonApproval
	line := r.entry(r.decision, e)
	line.Target = ledger.FenceTarget(t.fence)
	line.Question = ledger.Question{
		Labels: r.request.Labels, StartsAt: r.request.Since,
		Until: now.Add(time.Duration(r.remediator.settings.Config.ApprovalTimeout)),
	}
	standing, known, err := shared.ledger.Ask(ctx, line)
	shared.showPending(now)
	switch {
	case err != nil:
		return t.failed("nobody can be asked without a ledger", err)
	case standing == ledger.Waiting:
		r.waits, e.recorded = known.ID, true
		e.detail = "waits for a person until " + known.Until.UTC().Format(time.RFC3339)
		return &e
	case standing == ledger.Denied:
		return t.refused(policy.ReasonDenied, denial(known.By, known.Comment))
	default:
		return t.refused(policy.ReasonOverBudget, "too many orders wait for a person already")
	}
}

// denial says who denied an order, and what that person said.
func denial(by, comment string) string {
	if comment == "" {
		return by + " denied it"
	}
	return by + " denied it: " + comment
}

// Approvals returns what waits for a person, oldest first: the asked lines of the
// ledger.
func (r *Remediator) Approvals() []ledger.Entry { return r.shared.ledger.Approvals(time.Now()) }

// Approve carries out an order that waits for a person. Everything is decided
// anew: what has ended is gone, and what has changed is not signalled. Of all
// callers with one ID exactly one carries it out; the others get
// ledger.ErrAnswered, and for an unknown ID ledger.ErrNoApproval. Any other error
// means that the ledger could not be written and that nothing was signalled.
// Whatever the file says, it is an alert's order: only Remediate takes a person's.
func (r *Remediator) Approve(ctx context.Context, id, by, comment string) (Result, error) {
	asked, err := r.answer(ctx, id, ledger.EventApproved, by, comment)
	if err != nil {
		return Result{}, err
	}
	return r.remediate(ctx, Request{
		Source: SourceAlert, By: by, Comment: comment, Labels: asked.Labels,
		Alertname: asked.Alertname, Fingerprint: asked.Fingerprint,
		Fence: asked.Fence(asked.Server), Since: asked.StartsAt,
	}, &asked), nil
}

// Deny refuses an order that waits for a person, and every later one about the
// same target that would ask. The errors are those of Approve.
func (r *Remediator) Deny(ctx context.Context, id, by, comment string) (Result, error) {
	asked, err := r.answer(ctx, id, ledger.EventDenied, by, comment)
	if err != nil {
		return Result{}, err
	}
	return Result{
		Server: asked.Server, PID: asked.PID, Action: asked.Action, Rule: asked.Rule,
		Outcome: ledger.Refused, Reason: policy.ReasonDenied, Detail: denial(by, comment),
		Decision: asked.ID, By: by, Fingerprint: asked.Fingerprint,
	}, nil
}

func (r *Remediator) answer(ctx context.Context, id string, answer ledger.Event, by, comment string) (ledger.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, firstTimeout)
	defer cancel()
	now := time.Now()
	asked, err := r.shared.ledger.Answer(ctx, id, answer, by, comment, now)
	r.shared.showPending(now)
	return asked, err
}

// ExpireApprovals ends the waiting of the orders whose time is over, and shows what
// other replicas have done.
func (s *Shared) ExpireApprovals(ctx context.Context, now time.Time) error {
	err := s.ledger.Expire(ctx, now)
	s.Refresh(now)
	return err
}

// showPending brings the metric in line with what waits.
func (s *Shared) showPending(now time.Time) {
	s.metrics.setAll(s.metrics.pending, func() map[string]float64 {
		waiting := map[string]float64{}
		for _, asked := range s.ledger.Approvals(now) {
			waiting[asked.Server]++
		}
		return waiting
	})
}
