// Package ledger writes down every decision and its outcome, one JSON object a
// line, and knows from what it has written how much was done lately.
//
// A line is durable when the call returns: an intent before its signal, an
// outcome after it, a refusal too. Budget and suspension are read back from
// the file at start, so that a restart forgives nothing.
//
// The grammar: each signal has one intent and one outcome with the same ID, so
// that an escalation has two of each. A decision without a signal is one
// outcome without an ID. Decision joins the lines of one request. Only a crash
// leaves an intent without its outcome, and the next start writes that one down
// as failed. An outcome or a suspension whose write failed is written again
// with the next line.
package ledger

import (
	"time"

	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// Event is what a line is about.
type Event string

// An intent is written before its signal and has no outcome. The last three
// events keep the limits across restarts and rotations.
const (
	EventIntent     Event = "intent"
	EventOutcome    Event = "outcome"
	EventSuspended  Event = "suspended"
	EventResumed    Event = "resumed"
	EventCheckpoint Event = "checkpoint" // first lines of a new file; without a server: what came before is void
)

// Outcome is how it ended for one alert.
type Outcome string

// The outcomes.
const (
	Cancelled  Outcome = "cancelled"
	Terminated Outcome = "terminated"
	Ignored    Outcome = "ignored"    // signal sent, still there
	Superseded Outcome = "superseded" // the signal may have met a successor
	Gone       Outcome = "gone"       // nothing left to do
	Refused    Outcome = "refused"
	DryRun     Outcome = "dry_run"
	Failed     Outcome = "failed"
)

// Outcomes lists every outcome.
func Outcomes() []Outcome {
	return []Outcome{Cancelled, Terminated, Ignored, Superseded, Gone, Refused, DryRun, Failed}
}

// Entry is one line. Times that are zero and texts that are empty are left
// out, but for those that every line has.
type Entry struct {
	Time  time.Time `json:"time"`
	Event Event     `json:"event"`
	// ID joins an intent with its outcome. Each signal has one of its own.
	ID string `json:"id,omitempty"`
	// Decision joins all lines of one request.
	Decision string `json:"decision,omitempty"`

	Server       string `json:"server"`
	PID          int32  `json:"pid"`
	BackendStart Time   `json:"backend_start,omitzero"`
	QueryStart   Time   `json:"query_start,omitzero"`
	XactStart    Time   `json:"xact_start,omitzero"`
	StateChange  Time   `json:"state_change,omitzero"`

	Action  policy.Action `json:"action,omitempty"`
	Outcome Outcome       `json:"outcome,omitempty"`
	Reason  policy.Reason `json:"reason,omitempty"`
	Rule    string        `json:"rule,omitempty"`
	// Signalled says in an outcome whether a signal was sent, and so whether
	// the intent with the same ID counts against the budget.
	Signalled bool   `json:"signalled,omitempty"`
	Detail    string `json:"detail,omitempty"`

	Alertname   string `json:"alertname,omitempty"`
	Severity    string `json:"severity,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"`

	// The session before the signal.
	Datname         string        `json:"datname,omitempty"`
	Usename         string        `json:"usename,omitempty"`
	ApplicationName string        `json:"application_name,omitempty"`
	ClientAddr      string        `json:"client_addr,omitempty"`
	State           session.State `json:"state,omitempty"`
	WaitEventType   string        `json:"wait_event_type,omitempty"`
	WaitEvent       string        `json:"wait_event,omitempty"`
	SessionID       string        `json:"session_id,omitempty"`
	Query           string        `json:"query,omitempty"`

	// The rest is a checkpoint's: when signals were sent lately and by which
	// intents, which of these have no outcome yet, since when signals count
	// towards a suspension, and whether there is one.
	Spent     []time.Time `json:"spent,omitempty"`
	SpentIDs  []string    `json:"spent_ids,omitempty"`
	Open      []Entry     `json:"open,omitempty"`
	Since     time.Time   `json:"since,omitzero"`
	Suspended bool        `json:"suspended,omitempty"`
}

// Time is written in the form of the identity labels.
type Time struct{ time.Time }

// MarshalJSON writes the label's form, in quotes.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(`"` + session.FormatTime(t.Time) + `"`), nil
}

// WithSession fills in who the session is and what it was doing. The text is
// the caller's to choose.
func (e Entry) WithSession(s session.Session, text string) Entry {
	e.Server, e.PID = s.Server, s.PID
	e.BackendStart, e.QueryStart = Time{s.BackendStart}, Time{s.QueryStart}
	e.XactStart, e.StateChange = Time{s.XactStart}, Time{s.StateChange}
	e.Datname, e.Usename, e.ApplicationName, e.ClientAddr = s.Datname, s.Usename, s.ApplicationName, s.ClientAddr
	e.State, e.WaitEventType, e.WaitEvent = s.State, s.WaitEventType, s.WaitEvent
	e.SessionID, e.Query = s.LogID(), text
	return e
}

// WithFence fills in what the alert said, where no session was found.
func (e Entry) WithFence(f session.Fence) Entry {
	e.Server, e.PID = f.Server, f.PID
	e.BackendStart, e.QueryStart = Time{f.BackendStart}, Time{f.QueryStart}
	e.XactStart, e.StateChange = Time{f.XactStart}, Time{f.StateChange}
	return e
}
