package webhook

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// ending is how a signal, or a decision without one, has ended. The zero ending
// has no outcome: it goes on.
type ending struct {
	outcome ledger.Outcome
	action  policy.Action
	reason  policy.Reason
	rule    string
	detail  string

	session   session.Session // as found; zero if it was not
	id        string          // of the intent
	signalled bool            // or may have been
	retry     bool            // a repeat can help
	err       error           // for the log
}

func (t target) ending() ending {
	return ending{action: t.decision.Action, reason: t.decision.Reason, rule: t.decision.Rule, session: t.session}
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

// write puts the ending into the ledger: as the outcome of its intent, or as a
// line of its own.
func (o *order) write(ctx context.Context, e ending) ending {
	ctx, cancel := context.WithTimeout(ctx, decideTimeout)
	defer cancel()
	line, put := o.entry(e), o.handler.ledger.Append
	if e.id != "" {
		put = o.handler.ledger.Finish
	}
	if err := put(ctx, line); err != nil {
		o.unwritten = true
		_ = level.Error(o.logger(e)).Log("msg", "Writing down the outcome failed", "err", err)
	}
	o.handler.showSuspension(o.name) // a signal that was sent may have brought it
	return e
}

func (o *order) entry(e ending) ledger.Entry {
	line := ledger.Entry{Server: o.name, Target: ledger.FenceTarget(o.fence)}
	if s := e.session; !s.BackendStart.IsZero() {
		line.Target, line.Facts = ledger.SessionTarget(s), ledger.SessionFacts(s, o.set.Text(s.Query))
	}
	line.Source = ledger.SourceAlert
	line.Time, line.Decision, line.ID = time.Now(), o.decision, e.id
	line.Action, line.Outcome, line.Reason, line.Rule = e.action, e.outcome, e.reason, e.rule
	line.Signalled, line.Detail = e.signalled, e.detail
	line.Alertname, line.Fingerprint = short(o.alert.Labels["alertname"]), short(o.alert.Fingerprint)
	line.Severity = short(o.set.Policy.Severity(o.alert.Labels))
	return line
}

// answer counts and logs how it ended, and makes the result of it. A line that
// could not be written is worth a repeat where nothing was signalled.
func (o *order) answer(e ending) (_ Result, retry bool) {
	server := o.name
	if o.server == nil {
		server = ""
	}
	o.handler.metrics.count(server, e)
	o.log(e, "msg", "Alert dealt with")
	return Result{
		Fingerprint: o.alert.Fingerprint,
		Server:      o.name,
		PID:         o.alert.Labels[session.LabelPID],
		Action:      string(e.action),
		Outcome:     string(e.outcome),
		Reason:      string(e.reason),
		Rule:        e.rule,
	}, e.retry || o.unwritten && !o.signalled
}

// log writes about the alert, at the level that the ending deserves.
func (o *order) log(e ending, keyvals ...any) {
	logger := o.logger(e)
	switch {
	case e.outcome == ledger.Superseded || e.outcome == ledger.Failed:
		logger = level.Error(logger) // a person must look
	case e.outcome == ledger.Ignored || e.outcome == ledger.Cancelled && e.detail != "": // a doubt
		logger = level.Warn(logger)
	default:
		logger = level.Info(logger)
	}
	_ = logger.Log(keyvals...)
}

func (o *order) logger(e ending) log.Logger {
	logger := log.With(o.handler.logger,
		"server", o.name, "pid", short(o.alert.Labels[session.LabelPID]),
		"alertname", short(o.alert.Labels["alertname"]), "fingerprint", short(o.alert.Fingerprint),
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
	return logger
}

// short is what is kept of a text that an alert brings along. It does not keep
// the rest of the text alive.
func short(text string) string {
	const most = 256
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
