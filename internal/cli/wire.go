package cli

// The JSON of the API, as far as this client reads it. Times are texts in the
// form of the identity labels, and are handed back as they were received.

// identity names a session, and what it does.
type identity struct {
	Server       string `json:"server"`
	PID          int32  `json:"pid"`
	BackendStart string `json:"backend_start"`
	QueryStart   string `json:"query_start,omitempty"`
	XactStart    string `json:"xact_start,omitempty"`
	StateChange  string `json:"state_change,omitempty"`
}

// facts are whose session it is and what it does.
type facts struct {
	Datname         string `json:"datname"`
	Usename         string `json:"usename"`
	ApplicationName string `json:"application_name"`
	ClientAddr      string `json:"client_addr"`
	State           string `json:"state"`
	WaitEventType   string `json:"wait_event_type"`
	WaitEvent       string `json:"wait_event"`
}

// runningSession is a session as it is now.
type runningSession struct {
	identity
	facts
	QueryDuration       float64 `json:"query_duration_seconds"`
	TransactionDuration float64 `json:"transaction_duration_seconds"`
	IdleInTransaction   float64 `json:"idle_in_transaction_duration_seconds"`
	IdleDuration        float64 `json:"idle_duration_seconds"` // outside a transaction
	Blocked             int     `json:"blocked"`
	BlockedBy           []int32 `json:"blocked_by"`
	Query               string  `json:"query"`
}

// sessionList is the answer of GET /api/v1/sessions.
type sessionList struct {
	Sessions []runningSession `json:"sessions"`
	Errors   []serverError    `json:"errors"`
}

// serverError is a server that could not be read.
type serverError struct {
	Server string `json:"server"`
	Error  string `json:"error"`
}

// order is the body of POST /api/v1/actions.
type order struct {
	identity
	Action  string   `json:"action"`
	Comment string   `json:"comment,omitempty"`
	Lift    []string `json:"lift,omitempty"`
}

// result is what became of an order.
type result struct {
	Server  string `json:"server"`
	PID     int32  `json:"pid"`
	Outcome string `json:"outcome"`
	Reason  string `json:"reason"`
	Rule    string `json:"rule"`
	By      string `json:"by"`
	Detail  string `json:"detail"`
	ID      string `json:"id"`
}

// approval is an order that waits for a person.
type approval struct {
	ID string `json:"id"`
	identity
	facts
	Action    string `json:"action"`
	Rule      string `json:"rule"`
	Alertname string `json:"alertname"`
	Severity  string `json:"severity"`
	AskedAt   string `json:"asked_at"` // RFC 3339, like Until
	Until     string `json:"until"`
}

// approvalList is the answer of GET /api/v1/approvals.
type approvalList struct {
	Approvals []approval `json:"approvals"`
}

// verdict is the body of POST /api/v1/approvals/{id}.
type verdict struct {
	Decision string `json:"decision"`
	Comment  string `json:"comment,omitempty"`
}

// fence names exactly what was seen of the session: the statement that it runs,
// the idleness that it is in, or else its transaction.
func (s runningSession) fence() identity {
	seen := identity{Server: s.Server, PID: s.PID, BackendStart: s.BackendStart}
	switch s.State {
	case "active":
		seen.QueryStart = s.QueryStart
	case "idle", "idle in transaction", "idle in transaction (aborted)":
		seen.StateChange = s.StateChange
	default:
		seen.XactStart = s.XactStart
	}
	return seen
}

// inState is how long the session has done what its state says, in seconds. 0:
// the API does not say.
func (s runningSession) inState() float64 {
	return max(s.QueryDuration, s.IdleInTransaction, s.IdleDuration)
}
