package webhook

import (
	"context"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// effect tells what became of a signal that was sent.
func (o *order) effect(ctx context.Context, t target, answer session.Signalled, e ending) ending {
	switch met, err := o.met(ctx, t, answer); {
	case err != nil:
		return unseen(e, err)
	case met == session.MetSuccessor:
		e.outcome = ledger.Superseded
		e.detail = "the named activity ended by itself just before the signal, which may have met its successor"
		return e
	case met == session.PerhapsSuccessor:
		e.detail = "another statement had begun when we looked again; should its client complain, the signal may have met it"
	}
	return o.verify(ctx, t, answer, e)
}

// met tells what the signal met, and looks again where the first look leaves it
// open. A session that never settles has not gone on.
func (o *order) met(ctx context.Context, t target, answer session.Signalled) (session.Encounter, error) {
	met := o.pin(t).Met(t.verb, answer)
	if met != session.Unsettled {
		return met, nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(o.set.Remediation.VerifyTimeout))
	defer cancel()
	last, err := o.server.Watch(ctx, t.session.ID, answer.Settling())
	if err != nil {
		return met, err
	}
	return answer.Settle(last), nil
}

// verify watches until what the alert names is gone: for a cancel the activity,
// for a terminate the session. That PostgreSQL sent the signal proves nothing,
// nor does the end of one statement where the alert names a transaction.
func (o *order) verify(ctx context.Context, t target, answer session.Signalled, e ending) ending {
	start, wait, fence := time.Now(), time.Duration(o.set.Remediation.VerifyTimeout), t.fence
	if !fence.Before.IsZero() {
		fence = fence.Narrow(t.session, session.ScopeStatement)
	}
	ended := func(now session.Observation) bool { return !fence.Stands(now) }
	e.outcome = ledger.Cancelled
	if t.verb == session.Terminate {
		ended = func(now session.Observation) bool { return !now.Present }
		e.outcome = ledger.Terminated
	} else if t.decision.Then != "" {
		wait = time.Duration(o.set.Remediation.Grace)
	}
	if ended(answer.After) {
		if t.verb == session.Cancel && answer.EndedBefore() {
			e.outcome, e.detail = ledger.Gone, "it ended by itself just before the cancel, which met nothing"
		}
	} else {
		ctx, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		last, err := o.server.Watch(ctx, t.session.ID, ended)
		switch {
		case err != nil:
			return unseen(e, err)
		case !ended(last):
			e.outcome, e.detail = ledger.Ignored, "the signal was sent, and the target is still there"
			return e
		}
	}
	o.handler.metrics.verify.Observe(time.Since(start).Seconds())
	return e
}

// unseen is the end of a signal that was sent and could not be followed.
func unseen(e ending, err error) ending {
	e.outcome, e.err, e.retry = ledger.Failed, err, true
	e.detail = "the signal was sent; its effect could not be seen"
	return e
}
