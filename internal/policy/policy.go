package policy

import (
	"fmt"
	"maps"

	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/pgbailiff/pgbailiff/internal/config/field"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// Policy is a compiled Config. It does not change, so any number of goroutines
// may use it.
type Policy struct {
	severityLabel string
	severities    map[string]Action
	rules         []rule
}

type rule struct {
	name        string
	matchers    labels.Matchers
	naming      labels.Matchers // those of the matchers that name something in particular
	ofStatement bool            // a matcher looks at what changes with the statement
	action      Action
	approval    bool // a person must approve the action
}

// New compiles a configuration. An error is a *field.Error.
func New(cfg Config) (*Policy, error) {
	p := &Policy{severityLabel: cfg.SeverityLabel, severities: maps.Clone(cfg.Severities)}
	for severity, action := range cfg.Severities {
		if err := action.Validate(); err != nil {
			return nil, field.Under("severities."+severity, err)
		}
	}
	names := map[string]bool{}
	for i, rc := range cfg.Rules {
		path := fmt.Sprintf("rules.%d", i)
		if names[rc.Name] {
			return nil, field.Errorf(path+".name", "a second rule is called %q", rc.Name)
		}
		names[rc.Name] = true
		matchers, err := rc.compile()
		if err != nil {
			return nil, field.Under(path, err)
		}
		r := rule{name: rc.Name, action: rc.Action, approval: rc.Approval == ApprovalRequired, matchers: matchers}
		for _, m := range r.matchers {
			r.ofStatement = r.ofStatement || changesWithStatement(m.Name)
			if isNaming(m) {
				r.naming = append(r.naming, m)
			}
		}
		p.rules = append(p.rules, r)
	}
	return p, nil
}

// Severity is what the alert says of itself, by the configured label.
func (p *Policy) Severity(alert map[string]string) string { return alert[p.severityLabel] }

// match returns the first rule whose matchers all hold. If a rule that was tried
// looks at what changes with the statement, the result is about the statement,
// and another statement of the same transaction must be judged anew.
func (p *Policy) match(facts map[string]string) (r rule, scope session.Scope, matched bool) {
	scope = session.ScopeTransaction
	for _, r := range p.rules {
		if r.ofStatement {
			scope = session.ScopeStatement
		}
		all := true
		for _, m := range r.matchers {
			all = all && m.Matches(facts[m.Name])
		}
		if all {
			return r, scope, true
		}
	}
	return rule{}, scope, false
}
