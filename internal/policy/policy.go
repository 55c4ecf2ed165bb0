package policy

import (
	"fmt"
	"maps"
	"strconv"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// Action is what a rule or a severity orders. The zero Action orders nothing.
type Action string

// The actions that a configuration may name.
const (
	None                Action = "none"
	Cancel              Action = "cancel"
	Terminate           Action = "terminate"
	CancelThenTerminate Action = "cancel-then-terminate"
)

// Actions lists every action.
func Actions() []Action { return []Action{None, Cancel, Terminate, CancelThenTerminate} }

// Config is the part of the configuration's "remediation" that decides.
type Config struct {
	// SeverityLabel is the label of the alert that Severities are looked up by.
	SeverityLabel string `yaml:"severity_label"`
	// Severities apply when no rule matches.
	Severities map[string]Action `yaml:"severities"`
	// Rules are tried in order; the first one whose matchers all hold decides.
	Rules []RuleConfig `yaml:"rules"`
}

// RuleConfig is one rule, with matchers in Alertmanager's syntax.
type RuleConfig struct {
	Name     string   `yaml:"name"`
	Matchers []string `yaml:"matchers"`
	Action   Action   `yaml:"action"`
}

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

// New compiles a configuration. An error is a FieldError.
func New(cfg Config) (*Policy, error) {
	p := &Policy{severityLabel: cfg.SeverityLabel, severities: maps.Clone(cfg.Severities)}
	for severity, action := range cfg.Severities {
		if !action.valid() {
			return nil, fieldError(action.err(), "severities.%s", severity)
		}
	}
	names := map[string]bool{}
	for i, rc := range cfg.Rules {
		r := rule{name: rc.Name, action: rc.Action}
		switch {
		case rc.Name == "":
			return nil, fieldError(fmt.Errorf("a rule needs a name: it is what the ledger shows"), "rules.%d", i)
		case names[rc.Name]:
			return nil, fieldError(fmt.Errorf("a second rule is called %q", rc.Name), "rules.%d.name", i)
		case !rc.Action.valid():
			return nil, fieldError(rc.Action.err(), "rules.%d.action", i)
		case len(rc.Matchers) == 0:
			return nil, fieldError(fmt.Errorf("rule %q has no matchers and would match every alert", rc.Name), "rules.%d", i)
		}
		names[rc.Name] = true
		for j, line := range rc.Matchers {
			ms, err := parse.Matchers(line)
			if err == nil && len(ms) == 0 {
				err = fmt.Errorf("empty")
			}
			if err != nil {
				return nil, fieldError(fmt.Errorf("%q is not a matcher: %w", line, err), "rules.%d.matchers.%d", i, j)
			}
			r.matchers = append(r.matchers, ms...)
		}
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

func (a Action) valid() bool {
	switch a {
	case None, Cancel, Terminate, CancelThenTerminate:
		return true
	}
	return false
}

func (a Action) err() error {
	return fmt.Errorf("%q is not an action; there are %s, %s, %s and %s", string(a), None, Cancel, Terminate, CancelThenTerminate)
}

// FieldError is a mistake in a Config, with the path of the key that is wrong:
// keys and list indices from 0, joined by dots.
type FieldError struct {
	Path string
	Err  error
}

func (e *FieldError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns the mistake without its place.
func (e *FieldError) Unwrap() error { return e.Err }

func fieldError(err error, path string, args ...any) error {
	return &FieldError{Path: fmt.Sprintf(path, args...), Err: err}
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
