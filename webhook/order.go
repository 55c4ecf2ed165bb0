package webhook

import (
	"context"
	"errors"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/alertmanager/template"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// decideTimeout bounds everything from the request to the signal: an
// unreachable server must be told to Alertmanager within 10 seconds, however
// many alerts name one of its sessions.
const decideTimeout = 8 * time.Second

// attempts is how often an alert is looked at anew when its transaction goes
// on to another statement between the decision and the signal.
const attempts = 5

// order is one firing alert on its way through.
type order struct {
	handler  *Handler
	set      *Settings
	alert    template.Alert
	received time.Time

	fence  session.Fence
	name   string // of the server, as configured
	server Server
}

// ending is how it ended for one alert. The zero ending has no outcome and is
// never returned.
type ending struct {
	outcome ledger.Outcome
	action  policy.Action
	reason  policy.Reason
	rule    string
	detail  string

	session   session.Session // as found; zero if it was not
	id        string          // of the intent
	signalled bool
	retry     bool  // a repeat can help
	err       error // for the log
}

// run sees the alert through: find, decide, act, verify, record, answer. Retry
// means that a repeat of the alert can help.
func (o *order) run(ctx context.Context) (_ Result, retry bool) {
	e, no := o.identify()
	if no {
		return o.finish(ctx, e), false
	}
	waiting, cancel := o.deadline(ctx, 0)
	defer cancel()
	release, err := o.handler.busy.lock(waiting, backend{o.name, o.fence.PID})
	if err != nil {
		return o.finish(ctx, failed(err)), true
	}
	defer release()
	e = o.see(ctx)
	return o.finish(ctx, e), e.retry
}

// see needs the lock of the backend.
func (o *order) see(ctx context.Context) ending {
	for range attempts {
		s, d, e := o.decide(ctx)
		if e.outcome != "" {
			return e
		}
		if o.set.Remediation.Mode != ModeEnforce {
			return ending{outcome: ledger.DryRun, action: d.Action, reason: d.Reason, rule: d.Rule, session: s}
		}
		e, moved := o.carryOut(ctx, s, d)
		if !moved {
			return e
		}
		o.record(ctx, e)
	}
	return ending{
		outcome: ledger.Failed, action: policy.None,
		detail: "the transaction goes from statement to statement too fast to judge the one that would be hit",
	}
}

// deadline ends decideTimeout after the request arrived, or after least from
// now, whichever is later.
func (o *order) deadline(ctx context.Context, least time.Duration) (context.Context, context.CancelFunc) {
	at := o.received.Add(decideTimeout)
	if soonest := time.Now().Add(least); at.Before(soonest) {
		at = soonest
	}
	return context.WithDeadline(ctx, at)
}

// identify reads from the alert who is meant. The second result is true when
// that ends it.
func (o *order) identify() (ending, bool) {
	var err error
	o.fence, err = session.ParseFence(o.alert.Labels)
	o.name = o.alert.Labels[session.LabelServer]
	if name, server, ok := o.set.server(o.name); ok {
		o.name, o.server = name, server
	}
	switch {
	case o.set.Remediation.Mode == ModeOff:
		return refused(policy.ReasonModeOff, "remediation.mode is off"), true
	case errors.Is(err, session.ErrNoPID):
		return refused(policy.ReasonNoPID, err.Error()), true
	case err != nil:
		return refused(policy.ReasonBadLabel, err.Error()), true
	case o.server == nil && o.name == "":
		return refused(policy.ReasonUnknownServer, "the alert names no server, and several are configured"), true
	case o.server == nil:
		return refused(policy.ReasonUnknownServer, "no server of this name is configured"), true
	}
	o.fence.Server = o.name
	if o.fence.Complete() {
		return ending{}, false
	}
	o.fence.Before = o.alert.StartsAt
	switch {
	case o.set.Remediation.RequireIdentity:
		return refused(policy.ReasonNoIdentity, "backend_start or the period's label is missing, and remediation.require_identity is set"), true
	case o.alert.StartsAt.IsZero():
		return refused(policy.ReasonNoIdentity, "neither the whole identity nor startsAt is there"), true
	case o.alert.StartsAt.After(o.received):
		return refused(policy.ReasonNoIdentity, "without the whole identity startsAt must tell, and it lies in the future: look at the clocks"), true
	}
	return ending{}, false
}

// decide looks at the session and asks the policy. An ending with an outcome
// ends it.
func (o *order) decide(ctx context.Context) (session.Session, policy.Decision, ending) {
	ctx, cancel := o.deadline(ctx, 0)
	defer cancel()
	s, found, err := o.server.Find(ctx, o.fence.PID)
	switch {
	case err != nil:
		return s, policy.Decision{}, failed(err)
	case !found:
		return s, policy.Decision{}, gone("no session has this pid")
	case s.Visible() && !o.fence.BackendStart.IsZero() && !o.fence.BackendStart.Equal(s.BackendStart):
		return s, policy.Decision{}, gone("the pid belongs to another session now")
	}
	d, no := policy.Untouchable(s)
	if !no && !o.fence.Holds(s) {
		return s, d, ending{outcome: ledger.Gone, action: policy.None, detail: "the session is doing something else now", session: s}
	}
	if !no {
		d = o.set.Policy.Decide(o.alert.Labels, s)
	}
	if d.Refused() {
		return s, d, ending{
			outcome: ledger.Refused, action: d.Action, reason: d.Reason, rule: d.Rule, detail: d.Detail, session: s,
		}
	}
	return s, d, ending{}
}

// finish writes the ending down everywhere and makes the answer of it.
func (o *order) finish(ctx context.Context, e ending) Result {
	server := o.name
	if o.server == nil {
		server = ""
	}
	o.handler.metrics.remediations.WithLabelValues(server, string(e.action), string(e.outcome)).Inc()
	if e.outcome == ledger.Refused {
		o.handler.metrics.refusals.WithLabelValues(server, string(e.reason)).Inc()
	}
	o.record(ctx, e)
	return Result{
		Fingerprint: o.alert.Fingerprint,
		Server:      o.name,
		PID:         o.alert.Labels[session.LabelPID],
		Action:      string(e.action),
		Outcome:     string(e.outcome),
		Reason:      string(e.reason),
		Rule:        e.rule,
	}
}

// record writes the outcome into the ledger and the log, in the same words.
func (o *order) record(ctx context.Context, e ending) {
	line := o.entry(ledger.EventOutcome, e)
	ctx, cancel := context.WithTimeout(ctx, decideTimeout)
	defer cancel()
	write := o.handler.ledger.Append
	if e.id != "" {
		write = o.handler.ledger.Finish
	}
	if err := write(ctx, line); err != nil {
		o.log(e, "msg", "Writing down the outcome failed", "err", err)
	}
	if e.id != "" { // a signal that was sent may have brought a suspension
		o.handler.showSuspension(o.name)
	}
	o.log(e, "msg", "Alert dealt with")
}

func (o *order) entry(event ledger.Event, e ending) ledger.Entry {
	line := ledger.Entry{}.WithFence(o.fence)
	line.Server = o.name
	if !e.session.BackendStart.IsZero() {
		line = line.WithSession(e.session, o.set.Text(e.session.Query))
	}
	line.Time, line.Event, line.ID = time.Now(), event, e.id
	line.Action, line.Outcome, line.Reason, line.Rule = e.action, e.outcome, e.reason, e.rule
	line.Signalled, line.Detail = e.signalled, e.detail
	line.Alertname, line.Fingerprint = o.alert.Labels["alertname"], o.alert.Fingerprint
	line.Severity = o.set.Policy.Severity(o.alert.Labels)
	return line
}

// log writes about the alert, at the level that the ending deserves.
func (o *order) log(e ending, keyvals ...any) {
	logger := log.With(leveled(o.handler.logger, e),
		"server", o.name, "pid", o.alert.Labels[session.LabelPID],
		"alertname", o.alert.Labels["alertname"], "fingerprint", o.alert.Fingerprint,
		"action", e.action, "outcome", e.outcome)
	if e.reason != "" {
		logger = log.With(logger, "reason", e.reason)
	}
	if e.rule != "" {
		logger = log.With(logger, "rule", e.rule)
	}
	if s := e.session; !s.BackendStart.IsZero() {
		logger = log.With(logger, "session_id", s.LogID(), "datname", s.Datname, "usename", s.Usename,
			"application_name", s.ApplicationName, "state", s.State)
	}
	if e.detail != "" {
		logger = log.With(logger, "detail", e.detail)
	}
	if e.err != nil {
		logger = log.With(logger, "cause", e.err)
	}
	_ = logger.Log(keyvals...)
}

func refused(reason policy.Reason, detail string) ending {
	return ending{outcome: ledger.Refused, action: policy.None, reason: reason, detail: detail}
}

func gone(detail string) ending {
	return ending{outcome: ledger.Gone, action: policy.None, detail: detail}
}

func failed(err error) ending {
	return ending{
		outcome: ledger.Failed, action: policy.None, detail: "nothing was signalled", err: err,
		retry: errors.Is(err, session.ErrUnreachable) || errors.Is(err, context.DeadlineExceeded),
	}
}
