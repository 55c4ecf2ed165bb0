package policy

import (
	"errors"
	"fmt"
	"slices"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"
	"go.yaml.in/yaml/v3"

	"github.com/pgbailiff/pgbailiff/internal/config/field"
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

// Validate returns an error for an unknown action.
func (a Action) Validate() error {
	if slices.Contains(Actions(), a) {
		return nil
	}
	return fmt.Errorf("%q is not an action; there are %s, %s, %s and %s", string(a), None, Cancel, Terminate, CancelThenTerminate)
}

// UnmarshalYAML reads one of the actions and nothing else.
func (a *Action) UnmarshalYAML(n *yaml.Node) error {
	if err := n.Decode((*string)(a)); err != nil {
		return err
	}
	return a.Validate()
}

// Config is the part of the configuration's "remediation" that decides.
type Config struct {
	// SeverityLabel is the label of the alert that Severities are looked up by.
	SeverityLabel string `yaml:"severity_label"`
	// Severities apply when no rule matches.
	Severities map[string]Action `yaml:"severities"`
	// Rules are tried in order; the first one whose matchers all hold decides.
	Rules []RuleConfig `yaml:"rules"`
}

// Validate returns a *field.Error for the first value that is not allowed.
func (c Config) Validate() error {
	if c.SeverityLabel == "" {
		return field.Errorf("severity_label", "the label's name is empty")
	}
	_, err := New(c)
	return err
}

// RuleConfig is one rule, with matchers in Alertmanager's syntax.
type RuleConfig struct {
	Name     string   `yaml:"name"`
	Matchers []string `yaml:"matchers"`
	Action   Action   `yaml:"action"`
	// Approval says whether a person must approve the action.
	Approval Approval `yaml:"approval"`
}

// Approval says who must agree to an action. The zero Approval is nobody.
type Approval string

// ApprovalRequired says: a person.
const ApprovalRequired Approval = "required"

// Validate returns an error for anything but nothing and ApprovalRequired.
func (a Approval) Validate() error {
	if a == "" || a == ApprovalRequired {
		return nil
	}
	return fmt.Errorf("%q is not known; leave approval out, or say %s", string(a), ApprovalRequired)
}

// UnmarshalYAML reads ApprovalRequired and nothing else.
func (a *Approval) UnmarshalYAML(n *yaml.Node) error {
	if err := n.Decode((*string)(a)); err != nil {
		return err
	}
	return a.Validate()
}

// Validate returns a *field.Error for the first value that is not allowed.
func (c RuleConfig) Validate() error {
	_, err := c.compile()
	return err
}

// compile validates a rule and returns the matchers of all its lines.
func (c RuleConfig) compile() (labels.Matchers, error) {
	if c.Name == "" {
		return nil, field.Errorf("", "a rule needs a name: it is what the ledger shows")
	}
	if err := c.Action.Validate(); err != nil {
		return nil, field.Under("action", err)
	}
	if err := c.Approval.Validate(); err != nil {
		return nil, field.Under("approval", err)
	}
	if c.Approval == ApprovalRequired && c.Action == None {
		return nil, field.Errorf("approval", "rule %q does nothing that a person could approve", c.Name)
	}
	if len(c.Matchers) == 0 {
		return nil, field.Errorf("", "rule %q has no matchers and would match every alert", c.Name)
	}
	var all labels.Matchers
	for i, line := range c.Matchers {
		matchers, err := parse.Matchers(line)
		if err == nil && len(matchers) == 0 {
			err = errors.New("empty")
		}
		if err != nil {
			return nil, field.Errorf(fmt.Sprintf("matchers.%d", i), "%q is not a matcher: %w", line, err)
		}
		all = append(all, matchers...)
	}
	return all, nil
}
