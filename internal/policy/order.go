package policy

import "slices"

// Order is what a person orders by hand. The zero Order orders nothing.
type Order struct {
	Action Action
	// Lift names the refusals that the person sets aside, by their reasons. It has
	// no effect on a refusal that nothing lifts.
	Lift []Reason
}

// Liftable lists the reasons that an Order may lift.
func Liftable() []Reason {
	reasons := []Reason{ReasonRule}
	for _, row := range protections {
		if row.liftedBy != "" {
			reasons = append(reasons, row.reason)
		}
	}
	return reasons
}

// DecideOrder says what a person's order may do to the session as it is now.
// Severities do not matter, and a rule only if it says none.
func (p *Policy) DecideOrder(o Order, s Subject) Decision {
	r, scope, matched := p.match(facts(nil, s))
	d := Decision{Action: o.Action, Scope: scope, Reason: ReasonManual}
	for _, row := range protections {
		detail, applies := row.applies(s)
		if applies && (row.liftedBy == "" || !slices.Contains(o.Lift, row.reason)) {
			return d.refuse(row.reason, detail)
		}
	}
	if matched && r.action == None && !slices.Contains(o.Lift, ReasonRule) {
		d.Rule = r.name
		return d.refuse(ReasonRule, "the rule says none")
	}
	return d.withVerbs(s)
}
