package remediation

import (
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// SourceAlert is the Source of an alert's request.
const SourceAlert = ledger.SourceAlert

// Request asks for the remediation of one session.
type Request struct {
	// Source is where the request comes from. Actor is the person who made it;
	// empty for an alert.
	Source, Actor string
	// Labels are what the policy's matchers see beside the live session.
	Labels map[string]string
	// Alertname and Fingerprint are for the record.
	Alertname, Fingerprint string
	// Fence names the session. Its server may be empty when one is configured.
	Fence session.Fence
	// Invalid says why the labels name no session: session.ErrNoPID or the label that
	// cannot be read. Of the Fence only the server counts then.
	Invalid error
	// Since is when that which the request is about became true: an alert's
	// startsAt. Received is when the request arrived; the time limits count from
	// then. Zero: now.
	Since, Received time.Time
}

func (req Request) receivedAt() time.Time {
	if req.Received.IsZero() {
		return time.Now()
	}
	return req.Received
}

// Result is the final decision about one request.
type Result struct {
	Server   string // as configured; shortened where no such server is configured
	PID      int32
	Action   policy.Action
	Outcome  ledger.Outcome
	Reason   policy.Reason
	Rule     string
	Detail   string
	Decision string // joins the lines of the request in the ledger
	// Signalled says that a signal was sent, or may have been.
	Signalled bool
	// Retry says that repeating the request can help.
	Retry bool
}

// Preview is what a request would lead to now, in enforce mode and with budget.
// The Outcome is dry_run, refused, gone or failed.
type Preview struct {
	Action  policy.Action
	First   session.Verb // the signal that would be sent; empty: none
	Outcome ledger.Outcome
	Reason  policy.Reason
	Rule    string
	Detail  string
}

// maxText bounds what is kept of a text that a request brings along, in bytes.
const maxText = 256
