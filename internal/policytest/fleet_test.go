package policytest_test

import "testing"

// Where all servers are in servers_files, the configuration itself names none.
func TestConfigurationWithoutServersOfItsOwn(t *testing.T) {
	write(t, map[string]string{"c.yml": `servers_files: [servers/*.yml]
remediation:
  rules:
    - name: not this one
      matchers: ['server="billing"']
      action: none
`, "t.yml": `
config: c.yml
tests:
  - name: no server is named
    alert: {severity: warning}
    want: {action: cancel, reason: severity}
  - name: the alert names one
    alert: {severity: warning, server: billing}
    want: {action: none, rule: not this one}
`})
	if out, err := run("t.yml"); out != "t.yml: 2 tests passed\n" || err != "" {
		t.Errorf("%s%s", out, err)
	}
}
