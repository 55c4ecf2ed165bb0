package webhook

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// pin narrows the alert's fence to what the decision was made about: the
// session as it was found. Only an alert on a transaction, judged by a policy
// that does not look at statements, stays true while the transaction goes on.
func (o *order) pin(s session.Session) session.Fence {
	f := o.fence
	f.BackendStart = s.BackendStart
	transaction := !f.XactStart.IsZero() && f.QueryStart.IsZero() && f.StateChange.IsZero() && f.Before.IsZero()
	if transaction && !o.set.Policy.JudgesStatements() {
		return f
	}
	return f.Pin(s)
}

// carryOut does what was decided. Moved means that nothing was signalled,
// because the session went on between the look and the signal, and that the
// alert may still mean what it does now.
func (o *order) carryOut(ctx context.Context, s session.Session, d policy.Decision) (_ ending, moved bool) {
	wait := o.set.Remediation.VerifyTimeout
	if d.Then != "" {
		wait = o.set.Remediation.Grace
	}
	e, moved := o.signal(ctx, d.First, wait, s, d)
	if moved || d.Then == "" || e.outcome != ledger.Ignored {
		return e, moved
	}
	o.log(e, "msg", "The cancel did nothing within the grace; going on to terminate")
	then, _ := o.signal(ctx, d.Then, o.set.Remediation.VerifyTimeout, s, d)
	switch then.outcome {
	case ledger.Gone: // the cancel needed a little longer; this intent led to no signal
		then.outcome, then.detail = ledger.Cancelled, ""
	case ledger.Refused: // one signal was sent, and it was ignored
		then.outcome = ledger.Ignored
	default:
	}
	return then, false
}

// signal spends the budget, writes the intent, signals, and watches for the
// effect.
func (o *order) signal(ctx context.Context, verb session.Verb, wait time.Duration, s session.Session, d policy.Decision) (_ ending, moved bool) {
	e := ending{action: d.Action, reason: d.Reason, rule: d.Rule, session: s, id: rand.Text()}
	sent, answer := o.send(ctx, verb, &e)
	if !sent {
		return e, answer.Verdict == session.VerdictMoved
	}
	switch met, err := o.met(ctx, verb, answer, s); {
	case err != nil:
		return unseen(e, err), false
	case met == session.MetSuccessor:
		e.outcome = ledger.Superseded
		e.detail = "the named activity ended by itself just before the signal, which may have met its successor"
		return e, false
	case met == session.PerhapsSuccessor:
		e.detail = "another statement had begun when we looked again; should its client complain, the signal may have met it"
	}
	return o.verify(ctx, verb, wait, answer, e), false
}

// met tells what the signal met, and looks again where the first look leaves it
// open. A session that never settles has not gone on.
func (o *order) met(ctx context.Context, verb session.Verb, answer session.Signalled, s session.Session) (session.Encounter, error) {
	met := o.pin(s).Met(verb, answer)
	if met != session.Unsettled {
		return met, nil
	}
	ctx, cancel := context.WithTimeout(ctx, o.set.Remediation.VerifyTimeout)
	defer cancel()
	last, err := o.server.Watch(ctx, s.ID, answer.Settling())
	if err != nil {
		return met, err
	}
	return answer.Settle(last), nil
}

// unseen is the end of a signal that was sent and could not be followed.
func unseen(e ending, err error) ending {
	e.outcome, e.err, e.retry = ledger.Failed, err, true
	e.detail = "the signal was sent; its effect could not be seen"
	return e
}

// send is everything up to and including the signal. Not sent, it has filled
// in the ending. Finish gives the budget of an intent that led to no signal back.
func (o *order) send(ctx context.Context, verb session.Verb, e *ending) (sent bool, answer session.Signalled) {
	ctx, cancel := o.deadline(ctx, decideTimeout/2)
	defer cancel()
	l := o.handler.ledger
	intent := o.entry(ledger.EventIntent, *e)
	intent.Action = policy.Action(verb)
	allowance, err := l.Begin(ctx, intent, o.set.Remediation.Limits)
	o.handler.showSuspension(o.name)
	switch {
	case err != nil:
		e.outcome, e.detail, e.err, e.retry, e.id = ledger.Failed, "no signal without a ledger", err, true, ""
		return false, answer
	case allowance == ledger.Allowed:
	case allowance == ledger.Suspended:
		e.outcome, e.reason, e.id = ledger.Refused, policy.ReasonSuspended, ""
		e.detail = "too many signals; POST /-/resume?server=" + o.name
		return false, answer
	default:
		e.outcome, e.reason, e.id = ledger.Refused, policy.ReasonOverBudget, ""
		e.detail = "remediation.limits.actions were spent within remediation.limits.window"
		return false, answer
	}

	answer, err = o.server.Signal(ctx, verb, o.pin(e.session))
	if err == nil && answer.Verdict == session.VerdictSignalled {
		e.signalled = true
		if !o.alert.StartsAt.IsZero() {
			o.handler.metrics.signalDelay.Observe(max(0, time.Since(o.alert.StartsAt).Seconds()))
		}
		return true, answer
	}
	switch {
	case errors.Is(err, session.ErrUnreachable):
		// It may have been sent: it stays spent.
		e.outcome, e.signalled, e.err, e.retry = ledger.Failed, true, err, true
		e.detail = "the connection broke: nobody knows whether the signal was sent"
		return false, answer
	case errors.Is(err, session.ErrPermissionDenied):
		e.outcome, e.reason, e.err = ledger.Refused, policy.ReasonPermissionDenied, err
		e.detail = "PostgreSQL refuses our role the signal; grant it pg_signal_backend (a superuser's session needs a superuser)"
	case err != nil:
		e.outcome, e.err, e.detail = ledger.Failed, err, "nothing was signalled"
	default:
		e.unsent(answer.Verdict)
	}
	return false, answer
}

// unsent says why the signalling statement did not signal.
func (e *ending) unsent(v session.Verdict) {
	switch v {
	case session.VerdictGone, session.VerdictMoved:
		e.outcome, e.reason, e.detail = ledger.Gone, "", "it ended between the look and the signal"
	case session.VerdictNotVisible:
		e.outcome, e.reason = ledger.Refused, policy.ReasonNotVisible
	case session.VerdictProtected:
		e.outcome, e.reason = ledger.Refused, policy.ReasonProtectedBackend
	case session.VerdictSyncRep:
		e.outcome, e.reason = ledger.Refused, policy.ReasonSyncRep
	case session.VerdictSignalled:
	default:
		e.outcome, e.detail = ledger.Failed, "the signalling statement gave no verdict"
	}
}

// verify watches until what was signalled is gone: for a cancel the activity,
// for a terminate the session. That PostgreSQL sent the signal proves nothing.
func (o *order) verify(ctx context.Context, verb session.Verb, wait time.Duration, answer session.Signalled, e ending) ending {
	fence, start := o.pin(e.session), time.Now()
	ended := func(now session.Sighting) bool { return !fence.Stands(now) }
	e.outcome = ledger.Cancelled
	if verb == session.Terminate {
		ended = func(now session.Sighting) bool { return !now.Present }
		e.outcome = ledger.Terminated
	}
	if ended(answer.After) {
		if verb == session.Cancel && answer.EndedBefore() {
			e.outcome, e.detail = ledger.Gone, "it ended by itself just before the cancel, which met nothing"
		}
	} else {
		ctx, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		last, err := o.server.Watch(ctx, e.session.ID, ended)
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

// leveled: what a person must look at is an error, what nobody asked for is
// information.
func leveled(logger log.Logger, e ending) log.Logger {
	switch {
	case e.outcome == ledger.Superseded || e.outcome == ledger.Failed:
		return level.Error(logger)
	case e.outcome == ledger.Ignored || e.outcome == ledger.Cancelled && e.detail != "": // a doubt
		return level.Warn(logger)
	default:
		return level.Info(logger)
	}
}
