package policy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/config/field"
	"github.com/pgbailiff/pgbailiff/internal/policy"
)

func TestMistakeIsReportedWithPathAndSentence(t *testing.T) {
	good := policy.RuleConfig{Name: "good", Matchers: []string{`usename="app"`}, Action: policy.None}
	for name, tt := range map[string]struct {
		config     policy.Config
		path, says string
	}{
		"a severity's action that there is not": {
			policy.Config{Severities: map[string]policy.Action{"critical": "kill"}},
			"severities.critical", `"kill" is not an action; there are none, cancel, terminate and cancel-then-terminate`,
		},
		"a severity without an action": {
			policy.Config{Severities: map[string]policy.Action{"critical": ""}},
			"severities.critical", `"" is not an action`,
		},
		"a rule without a name": {
			policy.Config{Rules: []policy.RuleConfig{good, {Matchers: good.Matchers, Action: policy.None}}},
			"rules.1", "a rule needs a name",
		},
		"a second rule of the name": {
			policy.Config{Rules: []policy.RuleConfig{good, good}},
			"rules.1.name", `a second rule is called "good"`,
		},
		"a rule without an action": {
			policy.Config{Rules: []policy.RuleConfig{{Name: "x", Matchers: good.Matchers}}},
			"rules.0.action", `"" is not an action`,
		},
		"an action in capitals": {
			policy.Config{Rules: []policy.RuleConfig{{Name: "x", Matchers: good.Matchers, Action: "Cancel"}}},
			"rules.0.action", `"Cancel" is not an action`,
		},
		"an approval that there is not": {
			policy.Config{Rules: []policy.RuleConfig{{Name: "x", Matchers: good.Matchers, Action: policy.Cancel, Approval: "Required"}}},
			"rules.0.approval", `"Required" is not known; leave approval out, or say required`,
		},
		"an approval of nothing": {
			policy.Config{Rules: []policy.RuleConfig{{Name: "x", Matchers: good.Matchers, Action: policy.None, Approval: policy.ApprovalRequired}}},
			"rules.0.approval", `rule "x" does nothing that a person could approve`,
		},
		"a rule without matchers": {
			policy.Config{Rules: []policy.RuleConfig{{Name: "x", Action: policy.Terminate}}},
			"rules.0", "would match every alert",
		},
		"an empty matcher":           matcherMistake(``),
		"empty braces":               matcherMistake(`{}`),
		"no operator":                matcherMistake(`usename`),
		"a bad regular expression":   matcherMistake(`usename=~"("`),
		"an open quote":              matcherMistake(`usename="app`),
		"an open brace":              matcherMistake(`{usename="app"`),
		"too much":                   matcherMistake(`usename="app" and more`),
		"PromQL":                     matcherMistake(`up{usename="app"} > 0`),
		"no label":                   matcherMistake(`="app"`),
		"an operator of its own":     matcherMistake(`usename=="app"`),
		"a comparison":               matcherMistake(`query_id>5`),
		"a bad one among good ones":  matcherMistake(`{usename="app",datname=~"["}`),
		"a regex that RE2 has not":   matcherMistake(`usename=~"(?!app).*"`),
		"a huge repetition in regex": matcherMistake(`usename=~"a{100000}"`),
	} {
		t.Run(name, func(t *testing.T) {
			p, err := policy.New(tt.config)
			var mistake *field.Error
			if !errors.As(err, &mistake) || p != nil {
				t.Fatalf("New = %v, %v; want a *field.Error", p, err)
			}
			if mistake.Path != tt.path || !strings.Contains(mistake.Err.Error(), tt.says) {
				t.Errorf("the mistake is at %s: %s", mistake.Path, mistake.Err)
			}
			if want := tt.path + ": " + mistake.Err.Error(); err.Error() != want || !errors.Is(err, mistake.Err) {
				t.Errorf("the error is %q, want %q", err, want)
			}
		})
	}
}

// matcherMistake is a row whose second rule has this line as its second matcher.
func matcherMistake(line string) (row struct {
	config     policy.Config
	path, says string
},
) {
	row.config = policy.Config{Rules: []policy.RuleConfig{
		{Name: "good", Matchers: []string{`usename="app"`}, Action: policy.None},
		{Name: "bad", Matchers: []string{`usename="app"`, line}, Action: policy.None},
	}}
	row.path, row.says = "rules.1.matchers.1", "is not a matcher: "
	return row
}

func TestActionsAreThoseOfTheContract(t *testing.T) {
	want := []policy.Action{"none", "cancel", "terminate", "cancel-then-terminate"}
	if diff := cmp.Diff(want, policy.Actions()); diff != "" {
		t.Errorf("actions (-want +got):\n%s", diff)
	}
}

// A policy copies its configuration, so a later change to that has no effect.
func TestPolicyDoesNotChangeWithItsConfiguration(t *testing.T) {
	cfg := policy.Config{SeverityLabel: "severity", Severities: map[string]policy.Action{"warning": policy.None}}
	p, err := policy.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Severities["warning"] = policy.Terminate
	if got := p.Decide(severity("warning"), policy.NewSubject(client())); !got.Refused() {
		t.Errorf("the decision changed to %+v", got)
	}
}
