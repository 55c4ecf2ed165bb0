// Package policytest runs unit tests for a policy, as promtool test rules does
// for rules: a file has a configuration, and for each test a session, the labels
// of an alert and the wanted decision.
//
//	config: pgbailiff.yml            # beside this file; or the configuration itself
//	tests:
//	  - name: the nightly load is left alone
//	    session: {usename: etl, application_name: airflow worker}
//	    alert: {severity: critical}
//	    want: {action: none, reason: rule, rule: nightly load}
//
// A session is a client backend of an ordinary role that runs a SELECT, but for
// the keys that it has. "want" has the keys that are compared: action, reason,
// rule, the signals first and then (cancel, terminate or none), and approval:
// required if the action waits for a person, or none.
//
// A test is about the policy alone. It has no mode, no budget and no fence, and
// nobody approves or denies anything.
package policytest

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/pgbailiff/pgbailiff/internal/policy"
)

// Run runs the tests of every file and writes the results. The error says how
// many tests failed, and which files could not be used.
func Run(w io.Writer, files ...string) error {
	var unusable []error
	run, failed := 0, 0
	for _, name := range files {
		f, err := read(name)
		if err != nil {
			unusable = append(unusable, err)
			continue
		}
		bad := 0
		for _, test := range f.tests {
			got := f.policy.Decide(test.alert, test.subject)
			if report := diff(test.want, got); report != "" {
				bad++
				_, _ = fmt.Fprintf(w, "%s:%d: FAILED: %s\n%s", name, test.line, test.name, report)
			}
		}
		if bad == 0 {
			_, _ = fmt.Fprintf(w, "%s: %d tests passed\n", name, len(f.tests))
		} else {
			_, _ = fmt.Fprintf(w, "%s: %d of %d tests failed\n", name, bad, len(f.tests))
		}
		run, failed = run+len(f.tests), failed+bad
	}
	if failed > 0 {
		unusable = append(unusable, fmt.Errorf("%d of %d tests failed", failed, run))
	}
	return errors.Join(unusable...)
}

// want is the decision that a test wants. A nil field is not compared.
type want struct {
	Action   *string `yaml:"action"`
	Reason   *string `yaml:"reason"`
	Rule     *string `yaml:"rule"`
	First    *string `yaml:"first"`
	Then     *string `yaml:"then"`
	Approval *string `yaml:"approval"`
}

// validate returns an error for an approval that no decision has: a wrong word
// would look like a wrong policy.
func (w want) validate() error {
	if a := w.Approval; a != nil && *a != none && *a != string(policy.ApprovalRequired) {
		return fmt.Errorf("approval is %s or %s, not %q", policy.ApprovalRequired, none, *a)
	}
	return nil
}

// none is how a test writes that there is nothing: no signal, no approval.
const none = "none"

// diff has a line for each difference, and the reason for the decision. It is
// empty if the decision is the wanted one.
func diff(want want, got policy.Decision) string {
	report := ""
	for _, line := range []struct {
		key  string
		want *string
		got  string
	}{
		{"action", want.Action, string(got.Action)},
		{"reason", want.Reason, string(got.Reason)},
		{"rule", want.Rule, got.Rule},
		{"first", want.First, orNone(string(got.First))},
		{"then", want.Then, orNone(string(got.Then))},
		{"approval", want.Approval, approval(got)},
	} {
		if line.want != nil && *line.want != line.got {
			report += fmt.Sprintf("    %-9s want %-22s got %s\n", line.key+":", strconv.Quote(*line.want), strconv.Quote(line.got))
		}
	}
	if report != "" && got.Detail != "" {
		report += "    refused:  " + got.Detail + "\n"
	}
	return report
}

// orNone returns the verb, or the word for no signal.
func orNone(verb string) string { return cmp.Or(verb, none) }

// approval says whether the decision waits for a person.
func approval(d policy.Decision) string {
	if d.Approval {
		return string(policy.ApprovalRequired)
	}
	return none
}
