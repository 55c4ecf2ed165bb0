package ledger

import (
	"time"

	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// Event is what a line is about.
type Event string

// The events. An intent is written before its signal and has no outcome.
const (
	EventIntent  Event = "intent"
	EventOutcome Event = "outcome"

	// An order that waits for a person, and how the waiting ended. These lines
	// share one ID, which is the Decision of the order's later lines too.
	EventAsked    Event = "asked"
	EventApproved Event = "approved"
	EventDenied   Event = "denied"
	EventExpired  Event = "expired"

	// When a server's suspension began and ended.
	EventSuspended Event = "suspended"
	EventResumed   Event = "resumed"
	// EventReloaded: a person loaded the configuration anew.
	EventReloaded Event = "reloaded"
)

// Outcome is what became of a decision.
type Outcome string

// The outcomes.
const (
	Cancelled  Outcome = "cancelled"
	Terminated Outcome = "terminated"
	Ignored    Outcome = "ignored"    // signal sent, still there
	Superseded Outcome = "superseded" // the signal may have hit the next query
	Gone       Outcome = "gone"       // nothing left to do
	Refused    Outcome = "refused"
	DryRun     Outcome = "dry_run"
	Failed     Outcome = "failed"
	Pending    Outcome = "pending" // waits for a person
)

// Outcomes lists every outcome.
func Outcomes() []Outcome {
	return []Outcome{Cancelled, Terminated, Ignored, Superseded, Gone, Refused, DryRun, Failed, Pending}
}

// Entry is one line of the ledger. The JSON object is flat. It leaves out empty
// fields, except time, event, server and pid.
type Entry struct {
	Time  time.Time `json:"time"`
	Event Event     `json:"event"`
	// ID joins an intent with its outcome. Each signal has its own.
	ID string `json:"id,omitempty"`
	// Decision joins all lines of one request.
	Decision string `json:"decision,omitempty"`
	// Server is the configured name, or what the request named instead.
	Server string `json:"server"`
	// SystemIdentifier is the server's own, whatever name it is configured under.
	// It is empty where no session was found, or where our role may not read it.
	SystemIdentifier string `json:"system_identifier,omitempty"`
	// Replica is the host that wrote the line. Only a ledger that several replicas
	// share has it.
	Replica string `json:"replica,omitempty"`
	Target

	Action  policy.Action `json:"action,omitempty"`
	Outcome Outcome       `json:"outcome,omitempty"`
	Reason  policy.Reason `json:"reason,omitempty"`
	Rule    string        `json:"rule,omitempty"`
	// Signalled says in an outcome whether the signal was sent, or may have
	// been. If not, the intent with the same ID does not count against the
	// budget.
	Signalled bool   `json:"signalled,omitempty"`
	Detail    string `json:"detail,omitempty"`

	Origin
	Facts
	Question
}

// Question is what an asked line has beside the rest, so that the order can be
// decided anew when a person approves it.
type Question struct {
	// Labels are the alert's, and StartsAt its startsAt.
	Labels   map[string]string `json:"labels,omitempty"`
	StartsAt time.Time         `json:"starts_at,omitzero"`
	// Until is when the question expires.
	Until time.Time `json:"until,omitzero"`
}

// Target identifies the backend and what it was doing.
type Target struct {
	PID          int32 `json:"pid"`
	BackendStart Time  `json:"backend_start,omitzero"`
	QueryStart   Time  `json:"query_start,omitzero"`
	XactStart    Time  `json:"xact_start,omitzero"`
	StateChange  Time  `json:"state_change,omitzero"`
}

// FenceTarget is the target as a request names it, for entries about a session
// that was not found.
func FenceTarget(f session.Fence) Target {
	return Target{
		PID: f.PID, BackendStart: Time{f.BackendStart},
		QueryStart: Time{f.QueryStart}, XactStart: Time{f.XactStart}, StateChange: Time{f.StateChange},
	}
}

// SessionTarget is the target as the server reported it.
func SessionTarget(s session.Session) Target {
	return Target{
		PID: s.PID, BackendStart: Time{s.BackendStart},
		QueryStart: Time{s.QueryStart}, XactStart: Time{s.XactStart}, StateChange: Time{s.StateChange},
	}
}

// The sources of requests: an alert of Alertmanager, and a person's order by
// hand, which does not count against the limits.
const (
	SourceAlert  = "alert"
	SourceManual = "manual"
)

// Origin says where a request came from.
type Origin struct {
	// Source is the kind of origin, such as SourceAlert.
	Source string `json:"source,omitempty"`
	// By is the person who ordered it, or who answered for an alert that asked
	// first. Comment is what that person said.
	By      string `json:"by,omitempty"`
	Comment string `json:"comment,omitempty"`

	Alertname   string `json:"alertname,omitempty"`
	Severity    string `json:"severity,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"`
}

// Facts describe the session as it was before the signal.
type Facts struct {
	Datname         string        `json:"datname,omitempty"`
	Usename         string        `json:"usename,omitempty"`
	ApplicationName string        `json:"application_name,omitempty"`
	ClientAddr      string        `json:"client_addr,omitempty"`
	State           session.State `json:"state,omitempty"`
	WaitEventType   string        `json:"wait_event_type,omitempty"`
	WaitEvent       string        `json:"wait_event,omitempty"`
	// SessionID is %c of the server's log.
	SessionID string `json:"session_id,omitempty"`
	Query     string `json:"query,omitempty"`
}

// SessionFacts are the facts of a session. The query is the text that may be
// shown, which is the caller's choice.
func SessionFacts(s session.Session, query string) Facts {
	return Facts{
		Datname: s.Datname, Usename: s.Usename, ApplicationName: s.ApplicationName, ClientAddr: s.ClientAddr,
		State: s.State, WaitEventType: s.WaitEventType, WaitEvent: s.WaitEvent,
		SessionID: s.LogID(), Query: query,
	}
}

// Fence names what the target names, on the server.
func (t Target) Fence(server string) session.Fence {
	return session.Fence{
		Server: server, PID: t.PID, BackendStart: t.BackendStart.Time,
		QueryStart: t.QueryStart.Time, XactStart: t.XactStart.Time, StateChange: t.StateChange.Time,
	}
}

// Time is written in the form of the identity labels.
type Time struct{ time.Time }

// MarshalJSON writes the label's form, in quotes.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(`"` + session.FormatTime(t.Time) + `"`), nil
}
