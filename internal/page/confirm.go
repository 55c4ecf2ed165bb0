package page

import (
	"context"
	"net/http"
	"slices"
	"sync"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// button is what an operator may order of a session.
type button struct {
	Label, Class string
	Link         string // the sentence that asks; empty: it cannot work
	Verdict      verdict
	Lift         bool // it is refused unless the operator sets the reason aside
}

// buttons are what an operator may order, with what it would lead to.
func (p *Pages) buttons(ctx context.Context, s session.Found) []button {
	all := []button{
		{Label: "Cancel this statement", Class: "cancel"},
		{Label: "Terminate this session", Class: "terminate"},
	}
	var done sync.WaitGroup
	for i, action := range []policy.Action{policy.Cancel, policy.Terminate} {
		done.Go(func() {
			order := policy.Order{Action: action}
			preview := p.source.Preview(ctx, remediation.Manual("", "", order, session.FenceOf(s.Session), nil))
			b := &all[i]
			b.Verdict, b.Lift = newVerdict(preview), liftable(preview)
			if preview.First != "" || b.Lift {
				b.Link = p.link(s.ID) + "/confirm?action=" + string(action)
			}
		})
	}
	done.Wait()
	return all
}

// liftable reports whether an order is refused for a reason that a person may set
// aside.
func liftable(preview remediation.Preview) bool {
	return preview.First == "" && slices.Contains(policy.Liftable(), preview.Reason)
}

// confirmView asks before an order is carried out.
type confirmView struct {
	frame
	backend
	Doing  doing
	Action policy.Action
	First  session.Verb // the signal that comes first; empty: it cannot work
	Grace  string
	Fence  []field // what the person sees, and the signal must still meet
	// Lifts are refusals that hold unless the person sets each of them aside.
	Lifts   []verdict
	Refused verdict // why it cannot work
	Facts   []fact
	Text    string
	Last    bool
	NoTree  string
	Behind  int
	Queue   tree
}

// field is a field of a form.
type field struct{ Name, Value string }

// Confirm is GET /sessions/{server}/{pid}/{backend_start}/confirm?action=: the
// sentence that says whom an order hits. The form beside it has the fence of what
// was seen when the sentence was made.
func (p *Pages) Confirm(w http.ResponseWriter, r *http.Request) {
	person, ok := p.operator(w, r)
	if !ok {
		return
	}
	id, ok := p.readID(w, r, person)
	if !ok {
		return
	}
	action, ok := parseAction(r.URL.Query()["action"])
	if !ok {
		p.problem(w, r, person, http.StatusBadRequest, "The address names no action", notAnAction)
		return
	}
	s, ok := p.look(w, r, person, id)
	if !ok {
		return
	}
	fence := session.FenceOf(s.Session)
	v := confirmView{
		frame: p.frame(r, person, question(action)), backend: p.newBackend(s.Session), Action: action,
		Doing: doingOf(s.Found), Fence: fields(fence), Facts: facts(s.Found), Grace: duration(p.site.Grace.Seconds()),
		NoTree: noTree(s.server),
	}
	v.Text, v.Last = p.text(s.Session)
	if v.NoTree == "" {
		_, v.Queue, v.Behind = p.blockingOf(s.server, id.PID)
	}
	order, status := policy.Order{Action: action}, http.StatusOK
	for { // each refusal that is set aside may have another behind it
		preview := p.source.Preview(r.Context(), remediation.Manual("", "", order, fence, nil))
		v.First = preview.First
		if !liftable(preview) || slices.Contains(order.Lift, preview.Reason) {
			v.Refused, status = newVerdict(preview), statusOfPreview(preview)
			break
		}
		v.Lifts = append(v.Lifts, newVerdict(preview))
		order.Lift = append(order.Lift, preview.Reason)
	}
	p.write(w, status, "confirm", v)
}

// statusOfPreview is the status of the sentence that asks, or that says why it
// does not.
func statusOfPreview(preview remediation.Preview) int {
	switch preview.Outcome {
	case ledger.Gone: // since it was read for the page
		return http.StatusNotFound
	case ledger.Failed:
		return http.StatusServiceUnavailable
	default:
		return http.StatusOK
	}
}

// question is the title of the sentence that asks. Empty: that is no action.
func question(action policy.Action) string {
	switch action {
	case policy.Cancel:
		return "Cancel this statement?"
	case policy.Terminate:
		return "Terminate this session?"
	case policy.CancelThenTerminate:
		return "Cancel this statement, then terminate?"
	default:
		return ""
	}
}

const notAnAction = "An action is cancel, terminate or cancel-then-terminate."

// parseAction reads the one value of a field.
func parseAction(values []string) (policy.Action, bool) {
	if len(values) != 1 {
		return "", false
	}
	action := policy.Action(values[0])
	return action, question(action) != ""
}

// fields are the periods of a fence, in the form of the identity labels.
func fields(f session.Fence) []field {
	var all []field
	for _, period := range []field{
		{session.LabelQueryStart, session.FormatTime(f.QueryStart)},
		{session.LabelXactStart, session.FormatTime(f.XactStart)},
		{session.LabelStateChange, session.FormatTime(f.StateChange)},
	} {
		if period.Value != "" {
			all = append(all, period)
		}
	}
	return all
}

// operator is who makes the request, if that person may act by hand. If not,
// operator answers.
func (p *Pages) operator(w http.ResponseWriter, r *http.Request) (Person, bool) {
	person := p.source.Person(r)
	switch {
	case person.Name == "":
		p.problem(w, r, person, http.StatusUnauthorized, "Nobody is signed in",
			"Only a person with a name may act. The name comes from the reverse proxy, from basic auth or from a client certificate.")
	case !person.Operator:
		p.problem(w, r, person, http.StatusForbidden, "You may not act by hand", "You are not one of people.operators. You may look at everything.")
	default:
		return person, true
	}
	return person, false
}
