package webhook

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/alertmanager/template"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// decideTimeout bounds everything from the request to the signal: an
// unreachable server must be told to Alertmanager within 10 seconds, however
// many alerts name one of its sessions.
const decideTimeout = 8 * time.Second

// attempts is how often an alert is looked at anew when its transaction goes
// on to another statement between the decision and the signal.
const attempts = 20

// order is one firing alert on its way through, which is run: identify, wait
// for the turn, look and decide, begin, signal, see the effect, and perhaps once
// more with the harder signal.
type order struct {
	handler  *Handler
	set      *Settings
	alert    template.Alert
	received time.Time
	decision string // joins its lines in the ledger

	name   string // of the server, as configured; short where it is none of ours
	server Server
	fence  session.Fence
	until  time.Time // for what comes before the first signal
	turn   *hold

	looked    bool // the session was found once
	judged    bool // a signal is for a statement that was judged, and for no other
	outlived  bool // the target has outlived a cancel
	signalled bool // a signal was sent, or may have been
	unwritten bool // a line could not be written
}

// target is a session as it was found: what the alert names of it, what was
// decided about it, and the signal that comes next.
type target struct {
	session  session.Session
	fence    session.Fence
	decision policy.Decision
	verb     session.Verb
}

func newOrder(h *Handler, set *Settings, alert template.Alert, received time.Time) *order {
	o := &order{
		handler: h, set: set, alert: alert, received: received, until: received.Add(decideTimeout),
		decision: rand.Text(),
	}
	name, server, ok := set.server(alert.Labels[session.LabelServer])
	if o.name, o.server = name, server; !ok {
		o.name, o.server = short(name), nil
	}
	return o
}

// run sees the alert through. Retry means that a repeat of it can help.
func (o *order) run(ctx context.Context) (_ Result, retry bool) {
	if e, no := o.identify(); no {
		return o.answer(o.write(ctx, e))
	}
	var ok bool
	o.turn, o.until, ok = o.handler.busy.lock(o.until, backend{o.name, o.fence.PID})
	if !ok { // whoever has the turn has not come as far as a signal
		err := fmt.Errorf("%w: another alert about the session waits for it", session.ErrUnreachable)
		return o.answer(o.write(ctx, failed(err)))
	}
	defer o.turn.release()
	return o.answer(o.deal(ctx))
}

// deal needs the turn. The ending that it returns is written down.
func (o *order) deal(ctx context.Context) ending {
	t, e := o.look(ctx)
	if e.outcome != "" {
		return o.write(ctx, e)
	}
	t, e = o.act(ctx, t)
	if t.decision.Then == "" || e.outcome != ledger.Ignored {
		return o.write(ctx, e)
	}
	return o.escalate(ctx, e)
}

// escalate goes on to terminate what has outlived its cancel; the cancel's
// ending is not written down yet.
func (o *order) escalate(ctx context.Context, cancel ending) ending {
	if mode := o.mode(); mode != remediation.ModeEnforce {
		cancel.detail += "; remediation.mode is " + string(mode) + " now, so it is not terminated"
		return o.write(ctx, cancel)
	}
	o.outlived = true
	t, then := o.look(ctx)
	switch then.outcome {
	case ledger.Gone:
		cancel.outcome, cancel.detail = ledger.Cancelled, ""
		return o.write(ctx, cancel)
	case ledger.Failed:
		cancel.outcome, cancel.err, cancel.retry = ledger.Failed, then.err, then.retry
		cancel.detail += "; it could not be looked at again"
		return o.write(ctx, cancel)
	default:
	}
	o.write(ctx, cancel)
	if then.outcome == "" {
		o.log(cancel, "msg", "The cancel did nothing within the grace; going on to terminate")
		_, then = o.act(ctx, t)
	}
	o.write(ctx, then)
	switch then.outcome {
	case ledger.Gone: // before the terminate was sent
		cancel.outcome, cancel.detail = ledger.Cancelled, ""
		return cancel
	case ledger.Refused, ledger.DryRun: // the cancel was sent all the same
		then.outcome = ledger.Ignored
	default:
	}
	return then
}

// look finds the session and decides. An ending with an outcome ends it.
func (o *order) look(ctx context.Context) (target, ending) {
	ctx, cancel := o.bounded(ctx)
	defer cancel()
	asked := time.Now()
	found, ok, err := o.server.Find(ctx, o.fence.PID)
	switch {
	case err != nil:
		return target{}, failed(err)
	case !ok:
		return target{}, gone("no session has this pid")
	}
	o.looked = true
	s, subject := found.Session, policy.NewSubject(found)
	t := target{session: s, fence: o.named(s, found.ClockLag(asked, time.Now()))}
	var no bool
	switch t.decision, no = policy.AlwaysProtected(subject); {
	case s.Visible() && !t.fence.BackendStart.Equal(s.BackendStart):
		return t, gone("the pid belongs to another session now")
	case no:
	case !t.fence.Holds(s.ID, s.Activity):
		return t, ending{outcome: ledger.Gone, action: policy.None, detail: "the session is doing something else now", session: s}
	default:
		t.decision = o.set.Policy.Decide(o.alert.Labels, subject)
	}
	if !o.fence.Before.IsZero() {
		o.fence = o.fence.Narrow(s, session.ScopeStatement) // from here on it is this that the alert means
	}
	t.verb = t.decision.First
	if o.outlived && t.decision.Then != "" {
		t.verb = t.decision.Then
	}
	e := t.ending()
	switch {
	case t.decision.Refused():
		e.outcome, e.detail = ledger.Refused, t.decision.Detail
	case o.outlived && t.verb == session.Cancel:
		e.outcome, e.reason = ledger.Refused, policy.ReasonCannotCancel
		e.detail = "what the transaction does now may only be cancelled, and it has outlived a cancel"
	default:
		e = o.permitted(e)
	}
	return t, e
}

// act sends one signal and sees its effect. When the transaction has gone on
// since the look it looks again, and the intent stays open meanwhile.
func (o *order) act(ctx context.Context, t target) (target, ending) {
	var answer session.Signalled
	id, e := o.begin(ctx, t)
	for range attempts {
		if e.outcome != "" {
			return t, e
		}
		answer, e = o.signal(ctx, t)
		e.id = id
		if answer.Verdict == session.VerdictSignalled {
			return t, o.effect(ctx, t, answer, e)
		}
		if e.outcome != "" {
			return t, e
		}
		o.judged = true // no fence but one on a statement is sure to get further
		verb := t.verb
		t, e = o.look(ctx)
		e.id = id
		if e.outcome == "" && t.verb != verb {
			e = t.ending()
			e.id, e.outcome, e.detail = id, ledger.Gone, "it is not running any more: nothing to "+string(verb)
			o.write(ctx, e)
			id, e = o.begin(ctx, t)
		}
	}
	if e.outcome != "" {
		return t, e
	}
	e = t.ending()
	e.id, e.outcome = id, ledger.Failed
	e.detail = "the transaction goes from statement to statement too fast to judge the one that would be hit"
	return t, e
}

// begin reserves the budget and makes the intent durable; it returns its ID. An
// ending with an outcome ends it.
func (o *order) begin(ctx context.Context, t target) (id string, e ending) {
	ctx, cancel := o.bounded(ctx)
	defer cancel()
	e = t.ending()
	intent := o.entry(e)
	intent.ID, intent.Action = rand.Text(), policy.Action(t.verb)
	allowance, err := o.handler.ledger.Begin(ctx, intent, o.set.Remediation.Limits)
	o.handler.showSuspension(o.name)
	switch {
	case err != nil:
		e.outcome, e.detail, e.err, e.retry = ledger.Failed, "no signal without a ledger", err, true
	case allowance == ledger.Allowed:
	case allowance == ledger.Suspended:
		e.outcome, e.reason = ledger.Refused, policy.ReasonSuspended
		e.detail = "too many signals; POST /-/resume?server=" + o.name
	default:
		e.outcome, e.reason = ledger.Refused, policy.ReasonOverBudget
		e.detail = "remediation.limits.actions were spent within remediation.limits.window, or as many signals as limits.suspend_after allows are under way"
	}
	return intent.ID, e
}

// signal sends it, in the statement that checks the fence. An ending without an
// outcome means that it was sent, or that the transaction has gone on.
func (o *order) signal(ctx context.Context, t target) (session.Signalled, ending) {
	ctx, cancel := o.bounded(ctx)
	defer cancel()
	e := o.permitted(t.ending()) // the intent may have taken long
	if e.outcome != "" {
		return session.Signalled{}, e
	}
	answer, err := o.server.Signal(ctx, t.verb, o.pin(t))
	switch {
	case errors.Is(err, session.ErrNotSent):
		e.outcome, e.detail, e.err, e.retry = ledger.Failed, "the server could not be asked: nothing was signalled", err, true
	case errors.Is(err, session.ErrPermissionDenied):
		e.outcome, e.reason, e.err = ledger.Refused, policy.ReasonPermissionDenied, err
		e.detail = "PostgreSQL refuses our role the signal; grant it pg_signal_backend (a superuser's session needs a superuser)"
	case err != nil: // it stays spent
		o.signalled, e.signalled = true, true
		e.outcome, e.err, e.retry = ledger.Failed, err, errors.Is(err, session.ErrUnreachable)
		e.detail = "nobody knows whether the signal was sent"
	case answer.Verdict == session.VerdictSignalled:
		o.signalled, e.signalled = true, true
		o.turn.lasts()
		if !o.alert.StartsAt.IsZero() {
			o.handler.metrics.signalDelay.Observe(max(0, time.Since(o.alert.StartsAt).Seconds()))
		}
	case answer.Verdict == session.VerdictMoved, answer.Verdict == session.VerdictUnjudged:
	case answer.Verdict == session.VerdictGone:
		e.outcome, e.reason, e.detail = ledger.Gone, "", "it ended between the look and the signal"
	case answer.Verdict == session.VerdictNotVisible:
		e.outcome, e.reason = ledger.Refused, policy.ReasonNotVisible
	case answer.Verdict == session.VerdictProtected:
		e.outcome, e.reason = ledger.Refused, policy.ReasonProtectedBackend
	case answer.Verdict == session.VerdictSyncRep:
		e.outcome, e.reason = ledger.Refused, policy.ReasonSyncRep
	default:
		e.outcome, e.detail = ledger.Failed, "the signalling statement gave no verdict"
	}
	return answer, e
}

// bounded ends at the order's deadline; once the session was found, in a few
// seconds at the earliest.
func (o *order) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	at := o.until
	if soonest := time.Now().Add(decideTimeout / 2); o.looked && at.Before(soonest) {
		at = soonest
	}
	return context.WithDeadline(ctx, at)
}
