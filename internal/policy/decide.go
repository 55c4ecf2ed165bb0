package policy

import (
	"fmt"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// Reason says why. It is the text of the metric label, the log line, the
// ledger and the HTTP answer.
type Reason string

// The reasons of a refusal. ReasonRule with an action other than none is the
// reason of an action, like ReasonSeverity.
const (
	ReasonModeOff              Reason = "mode_off"
	ReasonNoPID                Reason = "no_pid"
	ReasonBadLabel             Reason = "bad_label"
	ReasonUnknownServer        Reason = "unknown_server"
	ReasonNoIdentity           Reason = "no_identity"
	ReasonNotVisible           Reason = "not_visible"
	ReasonProtectedBackend     Reason = "protected_backend"
	ReasonProtectedUser        Reason = "protected_user"
	ReasonProtectedBackup      Reason = "protected_backup"
	ReasonProtectedMaintenance Reason = "protected_maintenance"
	ReasonSyncRep              Reason = "sync_rep"
	ReasonRule                 Reason = "rule"
	ReasonNoAction             Reason = "no_action"
	ReasonCannotCancel         Reason = "cannot_cancel"
	ReasonOverBudget           Reason = "over_budget"
	ReasonSuspended            Reason = "suspended"
	ReasonPermissionDenied     Reason = "permission_denied"
	ReasonDenied               Reason = "denied" // by a person

	// ReasonManual: a person ordered it.
	ReasonManual Reason = "manual"
	// ReasonApproval: the order waits for a person. In a refusal: a person has
	// approved another action than the policy orders now.
	ReasonApproval Reason = "approval"
	// ReasonSeverity: no rule matched, the alert's severity decided.
	ReasonSeverity Reason = "severity"
)

// RefusalReasons lists every reason that a refusal can have.
func RefusalReasons() []Reason {
	return []Reason{
		ReasonModeOff, ReasonNoPID, ReasonBadLabel, ReasonUnknownServer, ReasonNoIdentity,
		ReasonNotVisible, ReasonProtectedBackend, ReasonProtectedUser, ReasonProtectedBackup,
		ReasonProtectedMaintenance, ReasonSyncRep, ReasonRule, ReasonNoAction,
		ReasonCannotCancel, ReasonOverBudget, ReasonSuspended, ReasonPermissionDenied, ReasonDenied, ReasonApproval,
	}
}

// Decision is what may be done to a session, and why.
type Decision struct {
	// Action is what the policy orders. In a refusal it is what the rule or the
	// severity ordered, or none.
	Action Action
	// First is the signal to begin with. Empty: refused.
	First session.Verb
	// Then is the signal to send next if the session is still there after the
	// grace. Empty: none.
	Then session.Verb
	// Approval says that a person must approve the action first.
	Approval bool
	// Scope says whether the decision holds for the statement that was seen only,
	// or for every statement of the transaction: the latter if no rule that was
	// tried looks at what changes with the statement.
	Scope session.Scope
	// Reason is never empty in a Decision that Decide returns.
	Reason Reason
	// Rule is the name of the rule that matched, or empty.
	Rule string
	// Detail is a sentence for the person who asks why, without statement text.
	Detail string
}

// Refused reports whether nothing may be done. The zero Decision is refused.
func (d Decision) Refused() bool { return d.First == "" }

// Decide says what an alert with these labels may do to the session as it is
// now. doc.go has the ladder.
func (p *Policy) Decide(alert map[string]string, s Subject) Decision {
	r, scope, matched := p.match(facts(alert, s))
	d := Decision{Action: None, Rule: r.name, Scope: scope}
	if matched {
		d.Action, d.Reason, d.Approval = r.action, ReasonRule, r.approval
	} else if a, ok := p.severities[alert[p.severityLabel]]; ok {
		d.Action, d.Reason = a, ReasonSeverity
	}

	for _, row := range protections {
		if detail, applies := row.applies(s); applies && !row.liftedFor(s, r) {
			return row.refuse(d, detail)
		}
	}
	switch {
	case matched && d.Action == None:
		return d.refuse(ReasonRule, "the rule says none")
	case d.Action == None:
		return d.refuse(ReasonNoAction, fmt.Sprintf("no rule matches, and %s=%q orders nothing", p.severityLabel, alert[p.severityLabel]))
	}
	return d.withVerbs(s)
}

// withVerbs chooses the signals that the action takes in the session's state.
func (d Decision) withVerbs(s Subject) Decision {
	ignored, why := ignoresCancel(s)
	switch {
	case d.Action == Terminate:
		d.First = session.Terminate
	case d.Action == Cancel && ignored:
		return d.refuse(ReasonCannotCancel, why)
	case d.Action == Cancel:
		d.First = session.Cancel
	case d.Action == CancelThenTerminate && ignored:
		d.First = session.Terminate
	case d.Action == CancelThenTerminate:
		d.First, d.Then = session.Cancel, session.Terminate
	}
	return d
}

// ignoresCancel reports whether pg_cancel_backend would return true without any
// effect: there is no statement to cancel, or the backend waits for its own
// client, where PostgreSQL does not process a cancel.
func ignoresCancel(s Subject) (bool, string) {
	switch {
	case s.State != session.StateActive && s.State != session.StateFastpath:
		return true, fmt.Sprintf("the session is %s: there is no statement to cancel", s.State)
	case s.WaitEventType == "Client" && (s.WaitEvent == "ClientRead" || s.WaitEvent == "ClientWrite"):
		return true, "the session waits for its own client, where a cancel does nothing"
	}
	return false, ""
}

func (d Decision) refuse(r Reason, detail string) Decision {
	return Decision{Action: d.Action, Rule: d.Rule, Reason: r, Detail: detail}
}
