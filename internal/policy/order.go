package policy

import (
	"slices"
	"strings"
)

// Order is what a person orders by hand. The zero Order orders nothing.
type Order struct {
	Action Action
	// Lift names the refusals that the person sets aside, by their reasons. It has
	// no effect on a refusal that nothing lifts.
	Lift []Reason
}

// Liftable lists the reasons that an Order may lift.
func Liftable() []Reason {
	var reasons []Reason
	for _, row := range protections {
		if row.liftedBy != "" {
			reasons = append(reasons, row.reason)
		}
	}
	return append(reasons, ReasonRule)
}

// lifts reports whether the person sets the refusal aside.
func (o Order) lifts(r Reason) bool { return slices.Contains(o.Lift, r) }

// DecideOrder says what a person's order may do to the session as it is now.
// doc.go has the ladder. Matchers see the session and no labels of an alert.
func (p *Policy) DecideOrder(o Order, s Subject) Decision {
	r, scope, matched := p.match(facts(nil, s))
	d := Decision{Action: o.Action, Scope: scope, Reason: ReasonManual}
	var lifted []string
	for _, row := range protections {
		detail, applies := row.applies(s)
		switch {
		case applies && (row.liftedBy == "" || !o.lifts(row.reason)):
			return d.refuse(row.reason, detail)
		case applies:
			lifted = append(lifted, string(row.reason))
		}
	}
	if matched && r.action == None {
		d.Rule = r.name
		if !o.lifts(ReasonRule) {
			return d.refuse(ReasonRule, "the rule says none")
		}
		lifted = append(lifted, string(ReasonRule))
	}
	if len(lifted) > 0 {
		d.Detail = "the order lifts " + strings.Join(lifted, ", ")
	}
	if d = d.withVerbs(s); d.Refused() && d.Reason == ReasonManual {
		return d.refuse(ReasonNoAction, "nothing is ordered")
	}
	return d
}
