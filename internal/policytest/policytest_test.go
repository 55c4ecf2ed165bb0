package policytest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/policytest"
)

const configuration = `remediation:
  rules:
    - name: leave it
      matchers: ['usename="etl"']
      action: none
    - name: ladder
      matchers: ['usename="bi"', 'command="SELECT"']
      action: cancel-then-terminate
    - name: ask
      matchers: ['usename="payroll"']
      action: cancel
      approval: required
`

// write writes files into a temporary directory and changes to it.
func write(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// run runs the files and returns what was written, and the error's text.
func run(files ...string) (out, err string) {
	var buf bytes.Buffer
	if e := policytest.Run(&buf, files...); e != nil {
		err = e.Error()
	}
	return buf.String(), err
}

func TestPassingTestsAreCounted(t *testing.T) {
	write(t, map[string]string{"a/c.yml": configuration, "a/t.yml": `
config: c.yml
tests:
  - name: an ordinary session
    alert: {severity: warning}
    want: {action: cancel, reason: severity, rule: "", first: cancel, then: none, approval: none}
  - name: a rule
    session: {usename: etl}
    alert: {severity: critical}
    want: {action: none, reason: rule, rule: leave it, first: none, then: none}
  - name: two signals
    session: {usename: bi, query: "/* c */ select 2"}
    want: {first: cancel, then: terminate}
  - name: a person is asked
    session: {usename: payroll}
    want: {action: cancel, rule: ask, first: cancel, approval: required}
  - name: nobody is asked about what is refused
    session: {usename: payroll, application_name: pg_dump}
    want: {reason: protected_backup, rule: ask, approval: none}
`})
	out, err := run("a/t.yml", "a/t.yml")
	if out != "a/t.yml: 5 tests passed\na/t.yml: 5 tests passed\n" || err != "" {
		t.Errorf("%s%s", out, err)
	}
}

func TestOtherDecisionIsShownLineByLine(t *testing.T) {
	write(t, map[string]string{"c.yml": configuration, "t.yml": `
config: c.yml
tests:
  - name: an ordinary session
    alert: {severity: warning}
    want: {action: cancel}
  - name: wrong in everything
    session: {usename: bi}
    want: {action: none, reason: no_action, rule: "", first: none, then: none}
  - name: wrong in one thing
    session: {usename: bi, application_name: pg_dump}
    want: {action: cancel-then-terminate, reason: rule, rule: ladder}
  - name: nobody would be asked
    session: {usename: payroll}
    want: {rule: ask, approval: none}
  - name: a person would be asked
    alert: {severity: warning}
    want: {action: cancel, approval: required}
`})
	out, err := run("t.yml")
	want := `t.yml:7: FAILED: wrong in everything
    action:   want "none"                 got "cancel-then-terminate"
    reason:   want "no_action"            got "rule"
    rule:     want ""                     got "ladder"
    first:    want "none"                 got "cancel"
    then:     want "none"                 got "terminate"
t.yml:10: FAILED: wrong in one thing
    reason:   want "rule"                 got "protected_backup"
    refused:  a backup, or a session that started one
t.yml:13: FAILED: nobody would be asked
    approval: want "none"                 got "required"
t.yml:16: FAILED: a person would be asked
    approval: want "required"             got "none"
t.yml: 4 of 5 tests failed
`
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	if err != "4 of 5 tests failed" {
		t.Errorf("the error is %q", err)
	}
}

func TestConfigurationMayBeInTheFile(t *testing.T) {
	indented := "  " + strings.ReplaceAll(strings.TrimSpace(configuration), "\n", "\n  ") + "\n"
	const tests = "tests:\n  - name: a rule\n    session: {usename: etl}\n    want: {rule: leave it}\n"
	for name, text := range map[string]string{
		"before the tests":         "config:\n" + indented + tests,
		"after the tests":          tests + "config:\n" + indented,
		"with comments around":     "# one\nconfig: # two\n  # three\n" + indented + "# four\n" + tests,
		"in braces":                "config: {remediation: {rules: [{name: leave it, matchers: [usename=etl], action: none}]}}\n" + tests,
		"braces around everything": "{config: {remediation: {rules: [{name: leave it, matchers: [usename=etl], action: none}]}}, tests: [{name: a rule, session: {usename: etl}, want: {rule: leave it}}]}",
		"in braces, in lines":      "config: {\n  remediation: {rules: [\n{name: leave it, matchers: [usename=etl], action: none}]}}\n" + tests,
	} {
		t.Run(name, func(t *testing.T) {
			write(t, map[string]string{"t.yml": text})
			if out, err := run("t.yml"); out != "t.yml: 1 tests passed\n" || err != "" {
				t.Errorf("%s%s", out, err)
			}
		})
	}
}

// An error says where the mistake is. The other files run nevertheless.
func TestFileThatCannotBeUsedIsAnErrorWithItsPlace(t *testing.T) {
	const one = "tests:\n  - name: a\n    want: {action: none}\n"
	for name, tt := range map[string]struct{ text, want string }{
		"empty":                         {"", "t.yml:1: config: neither the path of a configuration nor one"},
		"no configuration":              {one, "t.yml:1: config: neither the path of a configuration nor one"},
		"a list for a configuration":    {"config: [a]\n" + one, "t.yml:1: config: neither the path of a configuration nor one"},
		"a missing one":                 {"config: no.yml\n" + one, "read the configuration: open no.yml: no such file or directory"},
		"a broken one":                  {"config: bad.yml\n" + one, "bad.yml:2: remediation.mode: \"kill\" is not a mode; there are off, dry-run and enforce"},
		"a broken one in the file":      {"\nconfig:\n  remediation:\n    mode: kill\n" + one, "t.yml:4: remediation.mode: \"kill\" is not a mode; there are off, dry-run and enforce"},
		"an unknown key in it":          {one + "config:\n  remedy: {}\n", "t.yml:5: remedy: there is no such key"},
		"no tests":                      {"config: c.yml\n", "t.yml: there are no tests"},
		"an unknown key":                {"config: c.yml\nrules: []\n" + one, "t.yml:2: rules: there is no such key"},
		"an unknown key of a test":      {"config: c.yml\n" + one + "    wants: {}\n", "t.yml:5: tests[0].wants: there is no such key"},
		"of a session":                  {"config: c.yml\n" + one + "    session: {user: etl}\n", "t.yml:5: tests[0].session.user: there is no such key"},
		"of a decision":                 {"config: c.yml\ntests:\n  - name: a\n    want: {outcome: cancelled}\n", "t.yml:4: tests[0].want.outcome: there is no such key"},
		"a wrong type":                  {"config: c.yml\n" + one + "    session: {leader_pid: many}\n", "t.yml:5: tests[0].session.leader_pid: \"many\" is not a whole number"},
		"no YAML":                       {"config: 'c.yml\n", "t.yml:2: found unexpected end of stream"},
		"two documents":                 {"config: c.yml\n" + one + "---\nconfig: c.yml\n", "t.yml:5: a second YAML document begins here; there can be only one"},
		"a test without a name":         {"config: c.yml\ntests:\n  - want: {action: none}\n", "t.yml:3: the test has no name"},
		"a test twice":                  {"config: c.yml\n" + one + "  - name: a\n    want: {action: none}\n", "t.yml:5: a second test is called \"a\""},
		"a test that wants nothing":     {"config: c.yml\ntests:\n  - name: a\n    alert: {severity: warning}\n", "t.yml:3: test \"a\" wants nothing"},
		"an approval that there is not": {"config: c.yml\ntests:\n  - name: a\n    want: {approval: yes}\n", "t.yml:3: test \"a\": want: approval is required or none, not \"yes\""},
		"a state that there is not":     {"config: c.yml\n" + one + "    session: {state: idle in transacton}\n", "t.yml:3: test \"a\": session: PostgreSQL has no state \"idle in transacton\"; it has "},
	} {
		t.Run(name, func(t *testing.T) {
			write(t, map[string]string{
				"c.yml": configuration, "bad.yml": "remediation:\n  mode: kill\n", "t.yml": tt.text,
				"good.yml": "config: c.yml\n" + one,
			})
			out, err := run("t.yml", "good.yml")
			if !strings.HasPrefix(err, tt.want) || strings.Contains(err, "\n") {
				t.Errorf("the error is %q", err)
			}
			if out != "good.yml: 1 tests passed\n" {
				t.Errorf("the output is %q", out)
			}
		})
	}
	if _, err := run("no such file.yml"); !strings.HasPrefix(err, "read the tests: open no such file.yml: ") {
		t.Errorf("the error is %q", err)
	}
}

// Every key of a session can change the decision.
func TestEveryKeyOfASessionIsRead(t *testing.T) {
	for key, tt := range map[string]struct{ session, matcher, want string }{
		"server":           {"server: b", "server=b", "rule"},
		"datname":          {"datname: shop", "datname=shop", "rule"},
		"usename":          {"usename: etl", "usename=etl", "rule"},
		"application_name": {"application_name: psql", "application_name=psql", "rule"},
		"client_addr":      {"client_addr: 10.0.0.7", "client_addr=10.0.0.7", "rule"},
		"state":            {"state: idle in transaction", "state=~idle.*", "rule"},
		"wait_event_type":  {"wait_event_type: Lock", "wait_event_type=Lock", "rule"},
		"wait_event":       {"wait_event: tuple", "wait_event=tuple", "rule"},
		"query_id":         {"query_id: -7", "query_id=-7", "rule"},
		"query":            {"query: fetch c", "command=FETCH", "rule"},
		"backend_type":     {"backend_type: walsender", "usename=app", "protected_backend"},
		"leader_pid":       {"leader_pid: 7", "usename=app", "protected_backend"},
		"pid":              {"leader_pid: 7, pid: 7", "usename=app", "rule"},
		"superuser":        {"superuser: true", "datname=postgres", "protected_user"},
		"own":              {"own: true", "usename=app", "protected_backend"},
		"query_truncated":  {"query: VAC, query_truncated: true", "usename=app", "protected_maintenance"},
		"nothing":          {"", "command=SELECT", "rule"},
	} {
		t.Run(key, func(t *testing.T) {
			write(t, map[string]string{"t.yml": "config:\n  remediation:\n    rules: [{name: r, action: terminate, matchers: ['" + tt.matcher +
				"']}]\ntests:\n  - name: a\n    session: {" + tt.session + "}\n    want: {reason: " + tt.want + "}\n"})
			if out, err := run("t.yml"); err != "" {
				t.Errorf("%s%s", out, err)
			}
		})
	}
}
