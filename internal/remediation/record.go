package remediation

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// record writes the lines of one request, in the ledger and in the log, and
// makes its result. It remembers what the answer depends on.
type record struct {
	remediator *Remediator
	request    Request
	decision   string    // joins the lines in the ledger
	person     bool      // somebody has ordered it by hand, or approved it
	waits      string    // the ID of the question that a person must answer first
	until      time.Time // for the steps before the first signal

	begun     bool // an intent has been tried
	signalled bool // a signal was sent, or may have been
	unwritten bool // a line could not be written
}

func (r *Remediator) newRecord(req Request, approved *ledger.Entry) *record {
	decision := rand.Text()
	if approved != nil {
		decision = approved.ID
	}
	return &record{
		remediator: r, request: req, decision: decision, person: req.manual() || approved != nil,
		until: req.receivedAt().Add(firstTimeout),
	}
}

// begin reserves one signal of the target and makes its intent durable. An
// ending says why that was not possible; there is no ID then.
func (r *record) begin(ctx context.Context, t target, deadline time.Time) (id string, _ *ending) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	shared := r.remediator.shared
	begun, err := shared.ledger.Begin(ctx, r.intent(r.signalID(), t), r.remediator.settings.Config.Limits)
	shared.showSuspension(t.fence.Server)
	if end := r.notBegun(t, begun, err); end != nil {
		return "", end
	}
	return begun.ID, nil
}

// repin claims what the target does now for an intent whose signal was not sent. An
// ending that is taken is that of another request, never the intent's.
func (r *record) repin(ctx context.Context, id string, t target, deadline time.Time) *ending {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	begun, err := r.remediator.shared.ledger.Repin(ctx, r.intent(id, t))
	return r.notBegun(t, begun, err)
}

// notBegun tells why a signal was not begun; nil: it was. The lines of what another
// request has taken are that one's. What a person orders has a line of its own.
func (r *record) notBegun(t target, begun ledger.Begun, err error) *ending {
	end := t.notAllowed(begun, err, t.fence.Server)
	if end != nil && end.taken {
		end.recorded = !r.person
	}
	return end
}

// intent is the line of the ledger that tells the signal.
func (r *record) intent(id string, t target) ledger.Entry {
	e := t.ending("", t.decision.Detail)
	e.action = policy.Action(t.verb)
	return r.entry(id, e)
}

// signalID is the ID of the next signal. The first signal of a person's order has
// the ID of the decision, so that the one ID in the answer finds both. An alert's
// may be the ID of a question.
func (r *record) signalID() string {
	first := r.request.manual() && !r.begun
	if r.begun = true; first {
		return r.decision
	}
	return rand.Text()
}

// outcome writes how it ended: as the outcome of the intent with the ID, or
// without one as a line of its own.
func (r *record) outcome(ctx context.Context, id string, e ending) {
	if e.recorded && id == "" {
		return
	}
	r.signalled = r.signalled || e.signalled
	ctx, cancel := context.WithDeadline(ctx, r.patience(time.Now()))
	defer cancel()
	shared := r.remediator.shared
	put := shared.ledger.Append
	if id != "" {
		put = shared.ledger.Finish
	}
	switch err := put(ctx, r.entry(id, e)); {
	case errors.Is(err, ledger.ErrNoIntent): // the ledger has an outcome, of whoever has taken the step over
		_ = level.Warn(r.logger(e)).Log("msg", "The signal has an outcome already: this replica was too slow", "err", err)
	case err != nil:
		r.unwritten = true
		_ = level.Error(r.logger(e)).Log("msg", "Recording the outcome failed", "err", err)
	}
	shared.showSuspension(e.fence.Server) // the signal may have brought one
}

// patience is when the outcome must be written. Until something was signalled, a
// disk that hangs must be told as soon as a server that cannot be reached.
func (r *record) patience(now time.Time) time.Time {
	soonest := now.Add(lastTimeout)
	switch {
	case r.signalled:
		return now.Add(firstTimeout)
	case r.until.Before(soonest):
		return soonest
	default:
		return r.until
	}
}

// entry is the line of the ledger.
func (r *record) entry(id string, e ending) ledger.Entry {
	settings := r.remediator.settings
	line := ledger.Entry{
		Time: time.Now(), ID: id, Decision: r.decision, Server: e.fence.Server, SystemIdentifier: e.system, Target: ledger.FenceTarget(e.fence),
		Action: e.action, Outcome: e.outcome, Reason: e.reason, Rule: e.rule, Signalled: e.signalled, Detail: e.detail,
		Origin: ledger.Origin{
			Source: r.request.Source, By: r.request.By, Comment: r.request.Comment,
			Alertname: short(r.request.Alertname), Fingerprint: short(r.request.Fingerprint),
			Severity: short(settings.Policy.Severity(r.request.Labels)),
		},
	}
	if s := e.session; !s.BackendStart.IsZero() {
		line.Target, line.Facts = ledger.SessionTarget(s), ledger.SessionFacts(s, settings.Text(s.Query))
	}
	return line
}

// finish records and counts a request that ends without a signal.
func (r *record) finish(ctx context.Context, e ending) Result {
	r.outcome(ctx, "", e)
	return r.result(e)
}

// result counts and logs how the request ended. A line that could not be written
// is worth a repeat if nothing was signalled.
func (r *record) result(e ending) Result {
	server := e.fence.Server
	if _, configured := r.remediator.settings.Servers[server]; !configured {
		server = ""
	}
	if !e.taken || r.request.manual() { // the other request counts, and the sum over replicas must be right
		r.remediator.shared.metrics.count(server, r.request.manual(), e)
	}
	r.log(e, "msg", "Remediation finished")
	return Result{
		Server: e.fence.Server, PID: e.fence.PID,
		Action: e.action, Outcome: e.outcome, Reason: e.reason, Rule: e.rule, Detail: e.detail,
		Decision: cmp.Or(r.waits, r.decision), By: r.request.By, Fingerprint: r.request.Fingerprint, Signalled: r.signalled,
		Retry: e.retry || r.unwritten && !r.signalled,
	}
}

// log writes about the request, at the level that the ending deserves.
func (r *record) log(e ending, keyvals ...any) {
	logger := r.logger(e)
	switch {
	case e.taken:
		logger = level.Info(logger)
	case e.outcome == ledger.Superseded || e.outcome == ledger.Failed:
		logger = level.Error(logger) // a person must look
	case e.outcome == ledger.Ignored || e.outcome == ledger.Cancelled && e.detail != "": // a doubt
		logger = level.Warn(logger)
	default:
		logger = level.Info(logger)
	}
	_ = logger.Log(keyvals...)
}

func (r *record) logger(e ending) log.Logger {
	logger := log.With(r.remediator.shared.logger,
		"source", r.request.Source, "server", e.fence.Server, "pid", r.pid(),
		"alertname", short(r.request.Alertname), "fingerprint", short(r.request.Fingerprint),
		"action", e.action, "outcome", e.outcome)
	if by := r.request.By; by != "" {
		logger = log.With(logger, "by", by)
	}
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
	if e.cause != nil {
		logger = log.With(logger, "cause", e.cause)
	}
	return logger
}

// pid is the label, which may be no number, or without one what the fence says.
// It is empty where neither names a pid.
func (r *record) pid() string {
	label, ok := r.request.Labels[session.LabelPID]
	if pid := r.request.Fence.PID; !ok && pid != 0 {
		return strconv.Itoa(int(pid))
	}
	return short(label)
}

// short is what is kept of a text that a request brings along. It does not keep
// the rest of the text alive.
func short(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}
