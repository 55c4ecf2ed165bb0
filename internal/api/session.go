package api

import (
	"slices"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// periods are the times of an identity, in the form of its labels; empty: none.
type periods struct {
	BackendStart string `json:"backend_start"`
	QueryStart   string `json:"query_start"`
	XactStart    string `json:"xact_start"`
	StateChange  string `json:"state_change"`
}

func newPeriods(backendStart time.Time, a session.Activity) periods {
	return periods{
		BackendStart: session.FormatTime(backendStart), QueryStart: session.FormatTime(a.QueryStart),
		XactStart: session.FormatTime(a.XactStart), StateChange: session.FormatTime(a.StateChange),
	}
}

// facts describe a session.
type facts struct {
	Datname         string        `json:"datname"`
	Usename         string        `json:"usename"`
	ApplicationName string        `json:"application_name"`
	ClientAddr      string        `json:"client_addr"`
	State           session.State `json:"state"`
	WaitEventType   string        `json:"wait_event_type"`
	WaitEvent       string        `json:"wait_event"`
}

// sessionView is a session as it is now.
type sessionView struct {
	Server string `json:"server"`
	PID    int32  `json:"pid"`
	periods
	facts
	QueryID                   int64              `json:"query_id,string"`
	SessionID                 string             `json:"session_id"`
	QueryDuration             float64            `json:"query_duration_seconds"`
	TransactionDuration       float64            `json:"transaction_duration_seconds"`
	IdleInTransactionDuration float64            `json:"idle_in_transaction_duration_seconds"`
	IdleDuration              float64            `json:"idle_duration_seconds,omitempty"` // outside a transaction
	Blocked                   int                `json:"blocked"`
	BlockedBy                 []int32            `json:"blocked_by"`
	Query                     string             `json:"query"`
	Policy                    map[string]verdict `json:"policy"` // by severity

	age float64 // the largest
}

func newSession(a session.Aged) *sessionView {
	return &sessionView{
		Server: a.Server, PID: a.PID, periods: newPeriods(a.BackendStart, a.Activity),
		facts: facts{
			Datname: a.Datname, Usename: a.Usename, ApplicationName: a.ApplicationName, ClientAddr: a.ClientAddr,
			State: a.State, WaitEventType: a.WaitEventType, WaitEvent: a.WaitEvent,
		},
		QueryID: a.QueryID, SessionID: a.LogID(),
		QueryDuration:             a.Ages[session.FamilyQuery],
		TransactionDuration:       a.Ages[session.FamilyTransaction],
		IdleInTransactionDuration: a.Ages[session.FamilyIdleInTransaction],
		BlockedBy:                 []int32{},
		Policy:                    map[string]verdict{},
		age:                       slices.Max(a.Ages[:]),
	}
}

// verdict is what an alert about the session would lead to, and why.
type verdict struct {
	Action remediation.Action `json:"action"`
	First  session.Verb       `json:"first"` // the signal that would be sent; empty: none
	// Outcome is that of an alert in the mode enforce. It is empty where the signal
	// would be sent: only its effect tells.
	Outcome  ledger.Outcome     `json:"outcome"`
	Reason   remediation.Reason `json:"reason"`
	Rule     string             `json:"rule"`
	Detail   string             `json:"detail"`
	Approval bool               `json:"approval"` // a person would be asked first
}

func newVerdict(p remediation.Preview) verdict {
	v := verdict{
		Action: p.Action, First: p.First, Outcome: p.Outcome, Reason: p.Reason,
		Rule: p.Rule, Detail: p.Detail, Approval: p.Approval,
	}
	switch {
	case p.Outcome == ledger.DryRun && p.Approval:
		v.Outcome = ledger.Pending
	case p.Outcome == ledger.DryRun:
		v.Outcome = ""
	}
	return v
}

// alertAbout is an alert of a severity about the session. It names the session by
// its transaction or, without one, by its query.
func alertAbout(s session.Session, severityLabel, severity string) remediation.Request {
	labels := map[string]string{session.LabelServer: s.Server}
	if severity != "" {
		labels[severityLabel] = severity
	}
	fence := session.Fence{Server: s.Server, PID: s.PID, BackendStart: s.BackendStart, XactStart: s.XactStart}
	if s.XactStart.IsZero() {
		fence.QueryStart = s.QueryStart
	}
	return remediation.Request{Source: remediation.SourceAlert, Labels: labels, Fence: fence}
}

// idle is how long a session that was found has been idle outside a transaction. 0:
// it is not.
func idle(found session.Found) float64 {
	if found.State != session.StateIdle || found.StateChange.IsZero() {
		return 0
	}
	return max(0, found.SeenAt.Sub(found.StateChange).Seconds())
}

// ages are the ages of a session that was found, by the server's clock.
func ages(found session.Found) (all session.Ages) {
	for i, family := range session.Families() {
		if since := family.Since(&found.Activity); !since.IsZero() {
			all[i] = max(0, found.SeenAt.Sub(since).Seconds())
		}
	}
	return all
}
