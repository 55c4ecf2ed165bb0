package remediation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// ending is how a request, or one signal of it, ended. It is made where that is
// known, and does not change. The steps return a pointer to one; nil means that
// the request goes on.
type ending struct {
	outcome ledger.Outcome
	action  policy.Action
	reason  policy.Reason
	rule    string
	detail  string

	fence     session.Fence   // what the request names
	session   session.Session // as it was found; zero where it was not
	system    string          // the server's identifier; empty where no session was found, or where it is not known
	signalled bool            // a signal was sent, or may have been
	retry     bool            // repeating the request can help
	recorded  bool            // the ledger has its line already
	taken     bool            // another request has the signal; what is told here became of that, if it is known
	ungraced  time.Time       // when its cancel had been watched for verify_timeout, and not for grace; zero: not so
	cause     error           // for the log
}

// aim is what the next look must find, and how far its decision may reach.
type aim struct {
	fence    session.Fence // what the request names
	action   policy.Action // that a person ordered; none for an alert
	widest   session.Scope // of the decision
	outlived bool          // a cancel was sent before, and the target is still there
}

// target is a session that was found: what was decided about it, and the signal
// that comes next.
type target struct {
	aim
	session  session.Session
	system   string    // the server's identifier; empty where it is not known
	seen     time.Time // by the server's clock
	decision policy.Decision
	verb     session.Verb
	// signalFence is the fence of the signal: what the request names, as far as the
	// decision was made about it.
	signalFence session.Fence
}

// moved is the aim after the transaction has gone on to another statement. Only
// a fence on the statement that is judged next is sure to get further.
func (t target) moved() aim {
	a := t.aim
	a.widest = session.ScopeStatement
	return a
}

// afterCancel is the aim when the target has outlived a cancel.
func (t target) afterCancel() aim {
	a := t.aim
	a.outlived = true
	return a
}

// Endings before a decision, which have no action.

func (a aim) refused(reason policy.Reason, detail string) *ending {
	return &ending{outcome: ledger.Refused, action: a.action, reason: reason, detail: detail, fence: a.fence}
}

func (a aim) gone(detail string) *ending {
	return &ending{outcome: ledger.Gone, action: a.action, detail: detail, fence: a.fence}
}

func (a aim) failed(err error) *ending {
	return &ending{
		outcome: ledger.Failed, action: a.action, detail: "nothing was signalled", fence: a.fence, cause: err,
		retry: errors.Is(err, session.ErrUnreachable) || errors.Is(err, context.DeadlineExceeded),
	}
}

// Endings of what was decided.

func (t target) ending(outcome ledger.Outcome, detail string) ending {
	return ending{
		outcome: outcome, action: t.decision.Action, reason: t.decision.Reason, rule: t.decision.Rule, detail: detail,
		fence: t.fence, session: t.session, system: t.system,
	}
}

func (t target) refused(reason policy.Reason, detail string) *ending {
	e := t.ending(ledger.Refused, detail)
	e.reason = reason
	return &e
}

func (t target) failed(detail string, err error) *ending {
	e := t.ending(ledger.Failed, detail)
	e.cause, e.retry = err, true
	return &e
}

// tooLate is the ending of a signal that was not sent, because another request may
// have the step by now.
func (t target) tooLate(err error) *ending {
	return t.failed("nothing was signalled: the claim is too old", err)
}

// signalled is the ending of a signal that was sent.
func (t target) signalled(outcome ledger.Outcome, detail string) ending {
	e := t.ending(outcome, detail)
	e.signalled = true
	return e
}

// superseded is the ending of a signal that came too late for what was named.
func (t target) superseded() ending {
	return t.signalled(ledger.Superseded, "the named activity ended by itself just before the signal, which may have met its successor")
}

// unseen is the ending of a signal that was sent and could not be followed.
func (t target) unseen(err error) ending {
	e := t.signalled(ledger.Failed, "the signal was sent; its effect could not be seen")
	e.cause, e.retry = err, true
	return e
}

// notAllowed tells why a signal was not begun; nil: it was.
func (t target) notAllowed(begun ledger.Begun, err error, server string) *ending {
	switch {
	case errors.Is(err, ledger.ErrUnderWay):
		e := t.failed("the signal of another request is still under way; this one has signalled nothing", err)
		e.taken = true
		return e
	case err != nil:
		return t.failed("no signal without a ledger", err)
	case begun.Allowance == ledger.Allowed:
		return nil
	case begun.Allowance == ledger.Taken:
		return t.taken(begun.Became)
	case begun.Allowance == ledger.Suspended:
		return t.refused(policy.ReasonSuspended, "too many signals; POST /-/resume?server="+server)
	default:
		return t.refused(policy.ReasonOverBudget, "remediation.limits.actions were spent within remediation.limits.window, "+
			"or as many signals as limits.suspend_after allows are under way")
	}
}

// taken is the ending of a step that another request has taken already: what became
// of that.
func (t target) taken(became ledger.Entry) *ending {
	e := t.ending(became.Outcome, "another request has sent this signal")
	if !became.Signalled {
		e.detail = "another request has dealt with this"
	}
	if became.Replica != "" {
		e.detail += ", at " + became.Replica
	}
	e.reason, e.rule, e.taken = became.Reason, became.Rule, true
	e.retry = became.Outcome == ledger.Failed
	if became.Action == policy.Cancel {
		e.ungraced = became.Time
	}
	return &e
}

// notSignalled tells from the answer of the signalling statement why no signal
// was sent, or that this is not known. It is nil after a signal, and where the
// transaction has gone on to another statement, which must be judged first.
func (t target) notSignalled(verdict session.Verdict, err error) *ending {
	switch {
	case errors.Is(err, session.ErrNotSent):
		return t.failed("the server could not be asked: nothing was signalled", err)
	case errors.Is(err, session.ErrPermissionDenied):
		e := t.refused(policy.ReasonPermissionDenied,
			"PostgreSQL refuses our role the signal; grant it pg_signal_backend (a superuser's session needs a superuser)")
		e.cause = err
		return e
	case err != nil: // the signal stays spent
		e := t.signalled(ledger.Failed, "it is not known whether the signal was sent")
		e.cause, e.retry = err, errors.Is(err, session.ErrUnreachable)
		return &e
	}
	switch verdict {
	case session.VerdictSignalled, session.VerdictMoved, session.VerdictUnjudged:
		return nil
	case session.VerdictGone:
		e := t.ending(ledger.Gone, "it ended between the look and the signal")
		e.reason = ""
		return &e
	case session.VerdictLate:
		return t.tooLate(nil)
	case session.VerdictNotVisible:
		return t.refused(policy.ReasonNotVisible, "")
	case session.VerdictProtected:
		return t.refused(policy.ReasonProtectedBackend, "")
	case session.VerdictSyncRep:
		return t.refused(policy.ReasonSyncRep, "")
	default:
		e := t.ending(ledger.Failed, "the signalling statement gave no verdict")
		return &e
	}
}

// The ending of a cancel that the target has outlived, as the look before the
// terminate changes it.

// cancelledLate: the target is gone by now.
func (e ending) cancelledLate() ending {
	e.outcome, e.detail = ledger.Cancelled, ""
	return e
}

// notSeenAgain: the target could not be looked at again.
func (e ending) notSeenAgain(look ending) ending {
	e.outcome, e.cause, e.retry = ledger.Failed, look.cause, look.retry
	e.detail += "; it could not be looked at again"
	return e
}

// notTerminated: the mode does not let it be terminated any more.
func (e ending) notTerminated(now Mode) ending {
	e.detail += fmt.Sprintf("; remediation.mode is %s now, so it is not terminated", now)
	return e
}

// ignored is the ending of a request whose cancel was ignored and whose
// terminate was not allowed: its reason is why.
func (e ending) ignored() ending {
	e.outcome = ledger.Ignored
	return e
}
