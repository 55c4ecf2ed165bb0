package page

import (
	"context"
	"net/http"
	"slices"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// Act is POST /sessions/{server}/{pid}/{backend_start}/confirm: it carries out
// what Confirm has asked, even if the client hangs up meanwhile.
func (p *Pages) Act(w http.ResponseWriter, r *http.Request) {
	person, ok := p.operator(w, r)
	if !ok {
		return
	}
	id, ok := p.readID(w, r, person)
	if !ok {
		return
	}
	req, bad := readOrder(w, r, person, id)
	if bad != nil {
		p.problem(w, r, person, bad.status, "The form cannot be used", bad.sentence+" Nobody was signalled.")
		return
	}
	if person, ok = p.operator(w, r); !ok { // a reload may have taken the right to it while it arrived
		return
	}
	result := p.source.Remediate(context.WithoutCancel(r.Context()), req)
	v := p.outcome(r, person, result)
	v.Link, v.Comment = p.link(id), sentence(req.Comment)
	p.write(w, statusOf(result), "outcome", v)
}

// readOrder reads what the person orders.
func readOrder(w http.ResponseWriter, r *http.Request, by Person, id session.ID) (remediation.Request, *badForm) {
	bad := func(sentence string) (remediation.Request, *badForm) {
		return remediation.Request{}, &badForm{http.StatusBadRequest, sentence}
	}
	form, wrong := readForm(w, r, "action", "lift", "comment", session.LabelQueryStart, session.LabelXactStart, session.LabelStateChange)
	if wrong != nil {
		return remediation.Request{}, wrong
	}
	action, ok := parseAction(form["action"])
	if !ok {
		return bad(notAnAction)
	}
	order := policy.Order{Action: action}
	for _, value := range form["lift"] {
		if !slices.Contains(policy.Liftable(), policy.Reason(value)) {
			return bad("The form sets aside what cannot be set aside.")
		}
		order.Lift = append(order.Lift, policy.Reason(value))
	}
	fence, err := session.ParseFence(map[string]string{
		session.LabelPID: pidOf(id), session.LabelBackendStart: session.FormatTime(id.BackendStart),
		session.LabelQueryStart:  form.Get(session.LabelQueryStart),
		session.LabelXactStart:   form.Get(session.LabelXactStart),
		session.LabelStateChange: form.Get(session.LabelStateChange),
	})
	if err != nil {
		return bad("A time in the form is not of the form " + session.TimeLayout + ".")
	}
	fence.Server = id.Server
	comment, wrong := readComment(form)
	if wrong != nil {
		return remediation.Request{}, wrong
	}
	return remediation.Manual(by.Name, comment, order, fence, nil), nil
}

// statusOf is the status of an answer: an order that was not carried out is no
// success. What is approved in the mode dry-run has been carried out as far as that
// goes.
func statusOf(r remediation.Result) int {
	switch {
	case r.Retry:
		return http.StatusServiceUnavailable
	case r.Outcome == ledger.Cancelled, r.Outcome == ledger.Terminated, r.Outcome == ledger.DryRun:
		return http.StatusOK
	case r.Outcome == ledger.Gone:
		return http.StatusNotFound
	case r.Outcome == ledger.Refused:
		return http.StatusConflict
	default:
		return http.StatusBadGateway
	}
}
