package remediation

import (
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// The sources of requests.
const (
	SourceAlert  = ledger.SourceAlert
	SourceManual = ledger.SourceManual
)

// The words of a person's order, for the packages that read one.
type (
	// Order is what a person orders by hand.
	Order = policy.Order
	// Action is what an Order says to do.
	Action = policy.Action
	// Reason is what an Order lifts.
	Reason = policy.Reason
)

// None orders nothing.
const None = policy.None

// Liftable lists the reasons that an Order may lift.
func Liftable() []Reason { return policy.Liftable() }

// Request asks for the remediation of one session.
type Request struct {
	// Source is where the request comes from.
	Source string
	// By is the person who ordered it by hand, or who approved the order of an
	// alert, and Comment what that person said.
	By, Comment string
	// Order is what the person ordered by hand. With SourceManual it takes the
	// place of rules and severities.
	Order policy.Order
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

// Manual is a person's order about the session that the fence names. Invalid says
// why the order names no session, as in Request.
func Manual(by, comment string, order policy.Order, f session.Fence, invalid error) Request {
	f.AlsoIdle = true
	return Request{Source: SourceManual, By: by, Comment: comment, Order: order, Fence: f, Invalid: invalid}
}

func (req Request) manual() bool { return req.Source == SourceManual }

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
	Decision string // joins the lines of the request in the ledger; of an order that waits, the ID to approve
	By       string // as in Request
	// Fingerprint is the alert's, as in Request.
	Fingerprint string
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
	// Approval says that a person would be asked first.
	Approval bool
}

// maxText bounds what is kept of a text that a request brings along, in bytes.
const maxText = 256
