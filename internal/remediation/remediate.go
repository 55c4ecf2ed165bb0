package remediation

import (
	"context"
	"fmt"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// attempts is how often a request is decided anew when its transaction goes on
// to another statement between the decision and the signal.
const attempts = 20

// Remediate carries one request through to its recorded result. It returns when
// the outcome is recorded. The context need not be bounded.
func (r *Remediator) Remediate(ctx context.Context, req Request) Result {
	return r.remediate(ctx, req, nil)
}

// remediate is Remediate. Approved is the question that a person has answered
// with yes; nil: the request was not asked about.
func (r *Remediator) remediate(ctx context.Context, req Request, approved *ledger.Entry) Result {
	record := r.newRecord(req, approved)
	a, server, end := r.identify(req)
	r.shared.metrics.request(a.fence.Server)
	if !req.manual() && r.mode() == ModeOff {
		end = a.refused(policy.ReasonModeOff, modeOff)
	}
	if end != nil {
		return record.finish(ctx, *end)
	}
	turn, until, ok := r.shared.turns.take(req.receivedAt().Add(firstTimeout), backend{a.fence.Server, a.fence.PID})
	if !ok { // the request that has the turn has not signalled yet
		return record.finish(ctx, *a.failed(fmt.Errorf("%w: an earlier request about the session still waits for the server", session.ErrUnreachable)))
	}
	defer turn.release()
	o := &order{Remediator: r, request: req, approved: approved, server: server, turn: turn, until: until, record: record}
	return record.result(o.carryOut(ctx, a))
}

// order is a request that has the turn of its backend.
type order struct {
	*Remediator
	request  Request
	approved *ledger.Entry // the question that a person has approved; nil: none
	server   Server
	turn     *turn
	until    time.Time // for the steps before the first signal
	record   *record
	claimed  time.Time // when the ledger was asked for the step that comes next
}

// carryOut looks and decides, acts, and escalates if the target outlives a
// cancel. The ending that it returns is recorded.
func (o *order) carryOut(ctx context.Context, a aim) ending {
	t, end := o.look(ctx, a, o.until)
	if end != nil {
		o.record.outcome(ctx, "", *end)
		return *end
	}
	t, id, e := o.act(ctx, t)
	if e.outcome == ledger.Ignored && t.decision.Then != "" {
		o.grant(ctx, t, e)
		return o.escalate(ctx, t, id, e)
	}
	o.record.outcome(ctx, id, e)
	return e
}

// look finds the session, decides, and asks whether the mode permits more, and a
// person where the rule wants one.
func (o *order) look(ctx context.Context, a aim, until time.Time) (target, *ending) {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	t, end := o.find(ctx, o.server, o.request, a)
	if end == nil {
		end = o.permitted(t)
	}
	if end == nil {
		end = o.person(ctx, t)
	}
	return t, end
}

// permitted is nil where the mode permits a signal now. A person may act by hand
// in any mode.
func (o *order) permitted(t target) *ending {
	mode := o.mode()
	switch {
	case o.request.manual(), mode == ModeEnforce:
		return nil
	case mode == ModeDryRun:
		e := t.ending(ledger.DryRun, "")
		if t.decision.Approval && o.approved == nil {
			e.detail = "a person would be asked first"
		}
		return &e
	default:
		return t.refused(policy.ReasonModeOff, modeOff)
	}
}

const modeOff = "remediation.mode is off"

// act records the intent, sends one signal and follows its effect. It returns
// the ID of the intent that the ending is the outcome of; empty: there is none.
//
// When the transaction has gone on to another statement since the look, act looks
// and decides again, under the same intent. Another signal is another intent.
func (o *order) act(ctx context.Context, t target) (_ target, id string, _ ending) {
	id, end := o.begin(ctx, t)
	for range attempts {
		if end != nil {
			return t, id, *end
		}
		answer, notSent := o.signal(ctx, t)
		switch {
		case notSent != nil:
			return t, id, *notSent
		case answer.Verdict == session.VerdictSignalled:
			return t, id, o.effect(ctx, t, answer)
		}
		verb := t.verb
		if t, end = o.look(ctx, t.moved(), o.later()); end == nil && t.verb != verb {
			o.record.outcome(ctx, id, t.ending(ledger.Gone, "it is not running any more: nothing to "+string(verb)))
			id, end = o.begin(ctx, t)
		} else if end == nil {
			o.claimed = time.Now()
			if end = o.record.repin(ctx, id, t, o.later()); end != nil && end.taken {
				o.record.outcome(ctx, id, t.ending(ledger.Gone, "another request has signalled what runs now: nothing to "+string(verb)))
				id = ""
			}
		}
	}
	if end == nil {
		e := t.ending(ledger.Failed, "the transaction goes from statement to statement too fast to judge the one that would be hit")
		end = &e
	}
	return t, id, *end
}

func (o *order) begin(ctx context.Context, t target) (id string, _ *ending) {
	o.claimed = time.Now()
	return o.record.begin(ctx, t, o.later())
}

// signal sends the signal, in the statement that checks the fence. Without an
// ending it was sent, or the transaction has gone on to another statement.
func (o *order) signal(ctx context.Context, t target) (session.Signalled, *ending) {
	if end := o.permitted(t); end != nil { // writing the intent may have taken long
		return session.Signalled{}, end
	}
	if late := time.Since(o.claimed); late > claimLife { // the process was stopped, perhaps
		return session.Signalled{}, t.tooLate(fmt.Errorf("%s have passed since the ledger was asked", late.Round(time.Second)))
	}
	fence := t.signalFence
	if !t.seen.IsZero() { // which was before the claim; from here on only the server can tell
		fence.NotAfter = t.seen.Add(claimLife)
	}
	ctx, cancel := context.WithDeadline(ctx, o.later())
	defer cancel()
	answer, err := o.server.Signal(ctx, t.verb, fence)
	if err == nil && answer.Verdict == session.VerdictSignalled {
		o.turn.signalSent()
		if since := o.request.Since; !since.IsZero() && o.approved == nil {
			o.shared.metrics.signalDelay.Observe(max(0, time.Since(since).Seconds()))
		}
	}
	return answer, t.notSignalled(answer.Verdict, err)
}

// effect tells what became of a signal that was sent: first what it met, then
// whether that ends.
func (o *order) effect(ctx context.Context, t target, answer session.Signalled) ending {
	doubt := ""
	switch met, err := o.met(ctx, t, answer); {
	case err != nil:
		return t.unseen(err)
	case met == MetSuccessor:
		return t.superseded()
	case met == PerhapsSuccessor:
		doubt = "another statement had begun when we looked again; should its client complain, the signal may have met it"
	}
	began := time.Now()
	e := o.verify(ctx, t, answer, doubt)
	if e.outcome != ledger.Ignored && e.outcome != ledger.Failed {
		o.shared.metrics.verify.Observe(time.Since(began).Seconds())
	}
	return e
}

// met tells what the signal met, and watches where the look right after it leaves
// that open.
func (o *order) met(ctx context.Context, t target, answer session.Signalled) (Effect, error) {
	met := Met(t.signalFence, t.verb, answer)
	if met != Unsettled {
		return met, nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(o.settings.Config.VerifyTimeout))
	defer cancel()
	last, err := o.server.Watch(ctx, t.session.ID, Settling(answer))
	if err != nil {
		return met, err
	}
	return Settle(answer, last), nil
}

// verify watches until what the request names is gone: for a cancel the
// activity, for a terminate the session. That PostgreSQL sent the signal proves
// nothing. Where a transaction is named, the end of one statement proves nothing
// either.
func (o *order) verify(ctx context.Context, t target, answer session.Signalled, doubt string) ending {
	config := o.settings.Config
	done, wait := ledger.Cancelled, config.VerifyTimeout
	ended := func(now session.Observation) bool { return !t.fence.Stands(now) }
	successor := false
	switch {
	case t.verb == session.Terminate:
		done = ledger.Terminated
		ended = func(now session.Observation) bool {
			successor = successor || Begun(t.signalFence, answer, now)
			return !now.Present
		}
	case t.decision.Then != "":
		wait = config.Grace
	}
	if ended(answer.After) {
		if t.verb == session.Cancel && EndedBefore(answer) {
			return t.signalled(ledger.Gone, "it ended by itself just before the cancel, which met nothing")
		}
		return t.signalled(done, doubt)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(wait))
	defer cancel()
	switch last, err := o.server.Watch(ctx, t.session.ID, ended); {
	case err != nil:
		return t.unseen(err)
	case successor:
		return t.superseded()
	case !ended(last):
		return t.signalled(ledger.Ignored, "the signal was sent, and the target is still there")
	}
	return t.signalled(done, doubt)
}

// escalate terminates what has outlived its cancel, through the same steps. The
// cancel's ending is not recorded yet: the look before the terminate may still
// find that the cancel has worked. Where another request has sent that cancel, it
// is not this one's success, and has its outcome already.
func (o *order) escalate(ctx context.Context, t target, id string, cancel ending) ending {
	if mode := o.mode(); mode != ModeEnforce && !o.request.manual() {
		cancel = cancel.notTerminated(mode)
		o.record.outcome(ctx, id, cancel)
		return cancel
	}
	t, end := o.look(ctx, t.afterCancel(), o.later())
	if end != nil && (end.outcome == ledger.Gone || end.outcome == ledger.Failed) {
		late := *end
		switch {
		case cancel.taken:
		case end.outcome == ledger.Failed:
			late = cancel.notSeenAgain(*end)
		default:
			late = cancel.cancelledLate()
		}
		o.record.outcome(ctx, id, late)
		return late
	}
	o.record.outcome(ctx, id, cancel)
	var then ending
	if id = ""; end != nil {
		then = *end
	} else {
		o.record.log(cancel, "msg", "The cancel did nothing within the grace; going on to terminate")
		_, id, then = o.act(ctx, t)
	}
	o.record.outcome(ctx, id, then)
	switch {
	case then.outcome == ledger.Gone && !cancel.taken: // before the terminate was sent
		return cancel.cancelledLate()
	case then.outcome == ledger.Refused, then.outcome == ledger.DryRun, then.outcome == ledger.Pending: // but the cancel was sent before
		then.taken = cancel.taken
		return then.ignored()
	default:
		return then
	}
}

// later is the deadline of a step after the session was found.
func (o *order) later() time.Time {
	if soonest := time.Now().Add(laterTimeout); o.until.Before(soonest) {
		return soonest
	}
	return o.until
}
