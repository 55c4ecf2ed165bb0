package page

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/go-kit/log/level"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// approvalsView is what waits for a person.
type approvalsView struct {
	frame
	Questions []questionView
}

// questionView is an order of an alert that waits for a person. It never shows a
// text: that was allowed when the line was written, and may not be now.
type questionView struct {
	backend
	ID, Form             string
	Action, Class        string
	Rule, Alert          string
	Severity, State      string
	Asked, AskedAgo      string
	Until, Left          string
	AskedTime, UntilTime string // as time elements want them
}

// Approvals is GET /approvals.
func (p *Pages) Approvals(w http.ResponseWriter, r *http.Request) {
	v := approvalsView{frame: p.frame(r, p.source.Person(r), "What waits for a person")}
	now := p.source.Now()
	for _, e := range p.source.Approvals() {
		v.Questions = append(v.Questions, p.newQuestion(e, now))
	}
	p.write(w, http.StatusOK, "approvals", v)
}

func (p *Pages) newQuestion(e ledger.Entry, now time.Time) questionView {
	q := questionView{
		backend: p.newBackend(entrySession(e)), ID: name(e.ID), Form: p.base + "/approvals/" + url.PathEscape(e.ID),
		Action: string(e.Action), Class: "stop", Rule: name(e.Rule), Alert: name(e.Alertname),
		Severity: name(e.Severity), State: name(string(e.State)),
		Asked: e.Time.UTC().Format(time.TimeOnly), AskedAgo: duration(now.Sub(e.Time).Seconds()),
		Until: e.Until.UTC().Format(time.TimeOnly), Left: duration(e.Until.Sub(now).Seconds()),
		AskedTime: e.Time.UTC().Format(time.RFC3339), UntilTime: e.Until.UTC().Format(time.RFC3339),
	}
	if e.Action == policy.Cancel {
		q.Class = "note"
	}
	return q
}

// entrySession is the session that a line of the ledger is about.
func entrySession(e ledger.Entry) session.Session {
	return session.Session{
		ID:      session.ID{Server: e.Server, PID: e.PID, BackendStart: e.BackendStart.Time},
		Usename: e.Usename, Datname: e.Datname, ApplicationName: e.ApplicationName, ClientAddr: e.ClientAddr,
	}
}

// Answer is POST /approvals/{id}: an operator approves or denies.
func (p *Pages) Answer(w http.ResponseWriter, r *http.Request) {
	person, ok := p.operator(w, r)
	if !ok {
		return
	}
	form, bad := readForm(w, r, "decision", "comment")
	var comment string
	if bad == nil {
		comment, bad = readComment(form)
	}
	decision := form.Get("decision")
	if bad == nil && decision != "approve" && decision != "deny" {
		bad = &badForm{http.StatusBadRequest, "A decision is approve or deny."}
	}
	if bad != nil {
		p.problem(w, r, person, bad.status, "The form cannot be used", bad.sentence+" Nothing was decided.")
		return
	}
	if person, ok = p.operator(w, r); !ok { // a reload may have taken the right to it while it arrived
		return
	}
	answer := p.source.Deny
	if decision == "approve" {
		answer = p.source.Approve
	}
	result, err := answer(context.WithoutCancel(r.Context()), r.PathValue("id"), person.Name, comment)
	switch {
	case errors.Is(err, ledger.ErrNoApproval):
		p.problem(w, r, person, http.StatusNotFound, "There is no such question", "Nothing with this id waits, or has waited lately, for a person.")
	case errors.Is(err, ledger.ErrAnswered):
		p.problem(w, r, person, http.StatusConflict, "It was answered already",
			"Somebody else has answered this, or it has expired. Your answer changes nothing; the last decisions say what became of it.")
	case err != nil:
		level.Error(p.logger).Log("msg", "An approval could not be answered", "decision", decision, "err", err)
		p.problem(w, r, person, http.StatusServiceUnavailable, "It still waits",
			"Your answer could not be written down, so nothing was done. The log of pgbailiff says why.")
	case decision == "deny":
		p.write(w, http.StatusOK, "outcome", p.answered(r, person, result, comment))
	default:
		p.write(w, statusOf(result), "outcome", p.answered(r, person, result, comment))
	}
}

func (p *Pages) answered(r *http.Request, person Person, result remediation.Result, comment string) outcomeView {
	v := p.outcome(r, person, result)
	v.Comment, v.Liftable = sentence(comment), false
	return v
}
