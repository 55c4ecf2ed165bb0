package policy

import (
	"fmt"
	"maps"
	"strconv"

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
	judgesText    bool
}

type rule struct {
	name     string
	matchers labels.Matchers
	naming   labels.Matchers // those of them that name somebody
	action   Action
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
		r := rule{name: rc.Name, action: rc.Action, matchers: matchers}
		for _, m := range r.matchers {
			p.judgesText = p.judgesText || changesWithStatement(m.Name)
			if namesSomebody(m) {
				r.naming = append(r.naming, m)
			}
		}
		p.rules = append(p.rules, r)
	}
	return p, nil
}

// scope is what a decision of this policy is about. If any rule looks at what
// changes from one statement to the next, it holds for the statement that it was
// made about, and for no other of the same transaction.
func (p *Policy) scope() session.Scope {
	if p.judgesText {
		return session.ScopeStatement
	}
	return session.ScopeTransaction
}

// Severity is what the alert says of itself, by the configured label.
func (p *Policy) Severity(alert map[string]string) string { return alert[p.severityLabel] }

func changesWithStatement(label string) bool {
	switch label {
	case "state", "wait_event_type", "wait_event", "query_id", "command", "query":
		return true
	}
	return false
}

// facts are the labels that matchers see: the alert's, and over them the live
// session's.
func facts(alert map[string]string, s Subject) map[string]string {
	f := maps.Clone(alert)
	if f == nil {
		f = map[string]string{}
	}
	if s.Server != "" {
		f[session.LabelServer] = s.Server // an alert need not name the only one
	}
	f["datname"] = s.Datname
	f["usename"] = s.Usename
	f["application_name"] = s.ApplicationName
	f["client_addr"] = s.ClientAddr
	f["state"] = string(s.State)
	f["wait_event_type"] = s.WaitEventType
	f["wait_event"] = s.WaitEvent
	f["query_id"] = ""
	if s.QueryID != 0 {
		f["query_id"] = strconv.FormatInt(s.QueryID, 10)
	}
	f["command"] = s.text.command
	f["query"] = s.Query
	return f
}

// match returns the first rule whose matchers all hold.
func (p *Policy) match(facts map[string]string) (rule, bool) {
	for _, r := range p.rules {
		all := true
		for _, m := range r.matchers {
			all = all && m.Matches(facts[m.Name])
		}
		if all {
			return r, true
		}
	}
	return rule{}, false
}
