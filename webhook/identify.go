package webhook

import (
	"errors"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// identify reads from the alert who is meant. The second result is true when
// that ends it.
func (o *order) identify() (ending, bool) {
	var err error
	o.fence, err = session.ParseFence(o.alert.Labels)
	o.fence.Server = o.name
	switch {
	case o.mode() == remediation.ModeOff:
		return refused(policy.ReasonModeOff, "remediation.mode is off"), true
	case errors.Is(err, session.ErrNoPID):
		return refused(policy.ReasonNoPID, err.Error()), true
	case err != nil:
		return refused(policy.ReasonBadLabel, err.Error()), true
	case o.server == nil && o.name == "":
		return refused(policy.ReasonUnknownServer, "the alert names no server, and several are configured"), true
	case o.server == nil:
		return refused(policy.ReasonUnknownServer, "no server of this name is configured"), true
	case o.fence.Complete():
		return ending{}, false
	case o.set.Remediation.RequireIdentity:
		return refused(policy.ReasonNoIdentity, "backend_start or the period's label is missing, and remediation.require_identity is set"), true
	case o.alert.StartsAt.IsZero():
		return refused(policy.ReasonNoIdentity, "neither the whole identity nor startsAt is there"), true
	case o.alert.StartsAt.After(o.received):
		return refused(policy.ReasonNoIdentity, "without the whole identity startsAt must tell, and it lies in the future: look at the clocks"), true
	}
	o.fence.Before = o.alert.StartsAt
	return ending{}, false
}

// mode is the one that the alert came in; a reload may have turned remediation
// down since.
func (o *order) mode() remediation.Mode {
	if o.set.Remediation.Mode != remediation.ModeEnforce {
		return o.set.Remediation.Mode
	}
	return o.handler.settings.Load().Remediation.Mode
}

// permitted ends what the mode does not let be signalled now.
func (o *order) permitted(e ending) ending {
	switch o.mode() {
	case remediation.ModeEnforce:
	case remediation.ModeDryRun:
		e.outcome = ledger.DryRun
	default:
		e.outcome, e.reason, e.detail = ledger.Refused, policy.ReasonModeOff, "remediation.mode is off"
	}
	return e
}

// named is what the alert names, of this very session. Where it is fenced by
// time, the server's clock may be behind the one that startsAt was read from.
func (o *order) named(s session.Session, lag time.Duration) session.Fence {
	f := o.fence
	if f.BackendStart.IsZero() {
		f.BackendStart = s.BackendStart
	}
	if !f.Before.IsZero() {
		f.Before = f.Before.Add(-lag)
	}
	return f
}

// pin narrows what the alert names to what the decision was made about.
func (o *order) pin(t target) session.Fence {
	scope := t.decision.Scope
	if o.judged {
		scope = session.ScopeStatement
	}
	return t.fence.Narrow(t.session, scope)
}
