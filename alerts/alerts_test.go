// Package alerts_test holds the shipped rules, their tests, the runbook and the
// example configurations to each other and to the tools that will read them.
package alerts_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const (
	rulesFile      = "pgbailiff.rules.yml"
	thresholdsFile = "pgbailiff.thresholds.yml"
	runbookURL     = "https://github.com/pgbailiff/pgbailiff/blob/main/alerts/runbook.md#"
)

// ruleFile is the part of Prometheus's format that we use; more would be a typo.
type ruleFile struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []rule `yaml:"rules"`
	} `yaml:"groups"`
}

// There is no KeepFiringFor: it would go on naming a session that has gone, and
// the strict decoder refuses it.
type rule struct {
	Record      string            `yaml:"record"`
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// rung is an alert and what it means to pgbailiff.
type rung struct{ alert, severity string }

func (r rule) rung() rung { return rung{r.Alert, r.Labels["severity"]} }

func (r rung) String() string { return r.alert + "/" + r.severity }

func TestPromtoolAcceptsConfigurationAndRules(t *testing.T) {
	run(t, "promtool", "check", "config", "prometheus.yml")
	run(t, "promtool", "check", "rules", thresholdsFile, rulesFile)
}

func TestRules(t *testing.T) {
	for _, file := range testFiles(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			run(t, "promtool", "test", "rules", file)
		})
	}
}

// alerts are the alerting rules, in the order of the file.
func alerts(t *testing.T) []rule {
	t.Helper()
	all := rules(t, rulesFile)
	for _, r := range all {
		if r.Alert == "" {
			t.Errorf("%s is for alerts, and has record %s", rulesFile, r.Record)
		}
	}
	return all
}

func rules(t *testing.T, path string) []rule {
	t.Helper()
	decoder := yaml.NewDecoder(bytes.NewReader(read(t, path)))
	decoder.KnownFields(true)
	var file ruleFile
	if err := decoder.Decode(&file); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	var all []rule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatalf("%s has no rules", path)
	}
	return all
}

func testFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("tests/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no promtool tests: %v", err)
	}
	return files
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// run returns the tool's standard output; a tool that is missing or that fails
// fails the test.
func run(t *testing.T, tool string, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), installed(t, tool), args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", tool, strings.Join(args, " "), err, &stdout, &stderr)
	}
	return stdout.String()
}
