package remediation

import (
	"context"
	"errors"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// Preview tells what the request would lead to, by the steps that Remediate
// takes up to the decision. It records, counts and signals nothing, and the mode
// does not matter.
func (r *Remediator) Preview(ctx context.Context, req Request) Preview {
	ctx, cancel := context.WithTimeout(ctx, firstTimeout)
	defer cancel()
	var t target
	a, server, end := r.identify(req)
	if end == nil {
		t, end = r.find(ctx, server, req, a)
	}
	if end == nil {
		e := t.ending(ledger.DryRun, "")
		end = &e
	}
	p := Preview{Action: end.action, Outcome: end.outcome, Reason: end.reason, Rule: end.rule, Detail: end.detail, Approval: t.decision.Approval}
	if end.outcome == ledger.DryRun {
		p.First = t.verb
	}
	return p
}

// identify tells which backend the request names, on which server, or why it
// names none. Without the whole identity the request is fenced by time as well.
func (r *Remediator) identify(req Request) (aim, Server, *ending) {
	name, server, known := r.server(req.Fence.Server)
	a := aim{fence: req.Fence, action: policy.None, widest: session.ScopeTransaction}
	if a.fence.AlsoIdle = req.manual(); req.manual() {
		name = req.Fence.Server // a person's order always names it
		a.action = req.Order.Action
	}
	if a.fence.Server = name; !known {
		a.fence.Server = short(name)
	}
	switch {
	case req.manual() && (req.Invalid != nil || name == "" || a.fence.PID <= 0 || !a.fence.Complete()):
		return a, nil, a.refused(policy.ReasonNoIdentity, "an order by hand names server, pid, backend_start, and query_start, xact_start or state_change")
	case errors.Is(req.Invalid, session.ErrNoPID):
		return a, nil, a.refused(policy.ReasonNoPID, req.Invalid.Error())
	case req.Invalid != nil:
		return a, nil, a.refused(policy.ReasonBadLabel, req.Invalid.Error())
	case !known && name == "":
		return a, nil, a.refused(policy.ReasonUnknownServer, "the alert names no server, and several are or may be configured")
	case !known:
		return a, nil, a.refused(policy.ReasonUnknownServer, ErrUnknownServer.Error())
	case a.fence.Complete():
		return a, server, nil
	case r.settings.Config.RequireIdentity:
		return a, nil, a.refused(policy.ReasonNoIdentity, "backend_start or the period's label is missing, and remediation.require_identity is set")
	case req.Since.IsZero():
		return a, nil, a.refused(policy.ReasonNoIdentity, "neither the whole identity nor startsAt is there")
	case req.Since.After(req.receivedAt()):
		return a, nil, a.refused(policy.ReasonNoIdentity, "without the whole identity startsAt must tell, and it lies in the future: look at the clocks")
	}
	a.fence.Before = req.Since
	return a, server, nil
}

// find reads the session and decides about it.
func (r *Remediator) find(ctx context.Context, server Server, req Request, a aim) (target, *ending) {
	asked := time.Now()
	found, ok, err := server.Find(ctx, a.fence.PID)
	switch {
	case err != nil:
		return target{aim: a}, a.failed(err)
	case !ok:
		return target{aim: a}, a.gone("no session has this pid")
	}
	return r.decide(req, a, found, found.ClockLag(asked, time.Now()))
}

// decide says whether the session that was found is the one that is named, and
// what may be done to it. A target without an ending may be signalled.
func (r *Remediator) decide(req Request, a aim, found session.Found, lag time.Duration) (target, *ending) {
	s, subject := found.Session, policy.NewSubject(found)
	t := target{aim: a, session: s, system: found.SystemIdentifier, seen: found.SeenAt}
	named := a.named(s, lag)
	decision, protected := policy.AlwaysProtected(subject)
	if req.manual() {
		decision.Action = a.action
	}
	switch {
	case s.Visible() && !named.BackendStart.Equal(s.BackendStart):
		return t, a.gone("the pid belongs to another session now")
	case protected: // whatever it is doing
	case !named.Holds(s.ID, s.Activity):
		e := a.gone("the session is doing something else now")
		e.session, e.system = s, found.SystemIdentifier
		return t, e
	case req.manual():
		decision = r.settings.Policy.DecideOrder(req.Order, subject)
	default:
		decision = r.settings.Policy.Decide(req.Labels, subject)
	}
	t.fence = a.narrowed(s)
	t.signalFence = t.fence.Narrow(s, min(decision.Scope, a.widest))
	t.decision, t.verb = decision, decision.First
	if a.outlived && decision.Then != "" {
		t.verb = decision.Then
	}
	switch {
	case decision.Refused():
		return t, t.refused(decision.Reason, decision.Detail)
	case a.outlived && t.verb == session.Cancel:
		return t, t.refused(policy.ReasonCannotCancel, "what the transaction does now may only be cancelled, and it has outlived a cancel")
	}
	return t, nil
}

// named is what the request names, of this very session. Where it is fenced by
// time, the server's clock may be behind the one that the time was read from.
func (a aim) named(s session.Session, lag time.Duration) session.Fence {
	f := a.fence
	if f.BackendStart.IsZero() {
		f.BackendStart = s.BackendStart
	}
	if !f.Before.IsZero() {
		f.Before = f.Before.Add(-lag)
	}
	return f
}

// narrowed is the fence after the session was found. A request that is fenced by
// time means, from here on, what the session does now. Of a session that our
// role may not see, that is not known.
func (a aim) narrowed(s session.Session) session.Fence {
	if a.fence.Before.IsZero() || !s.Visible() {
		return a.fence
	}
	f := a.fence.Narrow(s, session.ScopeStatement)
	f.Before = time.Time{}
	return f
}
