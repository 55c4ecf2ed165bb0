// Package alerts_test checks the shipped rules, their tests, the runbook and
// the example configurations against each other and with the tools that read
// them.
package alerts_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

const (
	rulesFile      = "pgbailiff.rules.yml"
	thresholdsFile = "pgbailiff.thresholds.yml"
	runbookURL     = "https://github.com/pgbailiff/pgbailiff/blob/main/alerts/runbook.md#"
)

// ruleFile is the part of Prometheus's format that we use. The decoder is
// strict, so another key is an error.
type ruleFile struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []rule `yaml:"rules"`
	} `yaml:"groups"`
}

// rule has no KeepFiringFor: the alert would still name a session that has
// ended.
type rule struct {
	Record      string            `yaml:"record"`
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// alertID tells the alerts of the file apart.
type alertID struct{ name, severity string }

func (r rule) id() alertID { return alertID{r.Alert, r.Labels["severity"]} }

func (id alertID) String() string { return id.name + "/" + id.severity }

func TestPromtoolAcceptsConfigurationAndRules(t *testing.T) {
	proctest.Output(t, "promtool", "check", "config", "prometheus.yml")
	proctest.Output(t, "promtool", "check", "rules", thresholdsFile, rulesFile)
}

func TestRules(t *testing.T) {
	for _, file := range testFiles(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			proctest.Output(t, "promtool", "test", "rules", file)
		})
	}
}

// alerts are the alerting rules, in the order of the file.
func alerts(t *testing.T) []rule {
	t.Helper()
	all := rules(t, rulesFile)
	for _, r := range all {
		if r.Alert == "" {
			t.Errorf("%s is for alerts only, and has the recording rule %s", rulesFile, r.Record)
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
