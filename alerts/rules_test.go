package alerts_test

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

func TestEveryAlertIsComplete(t *testing.T) {
	seen := map[alertID]bool{}
	for _, r := range alerts(t) {
		t.Run(r.id().String(), func(t *testing.T) {
			if seen[r.id()] {
				t.Error("defined twice")
			}
			seen[r.id()] = true
			if !regexp.MustCompile(`^Pgbailiff[A-Z][A-Za-z]+$`).MatchString(r.Alert) {
				t.Error("the name is not Pgbailiff and a word in CamelCase")
			}
			for label, value := range r.Labels {
				if label != "severity" && label != "remediation" {
					t.Errorf("label %s: only severity and remediation carry policy", label)
				}
				if strings.Contains(value, "{{") {
					t.Errorf("label %s is a template: each of its values would be another alert", label)
				}
			}
			if !slices.Contains([]string{"info", "warning", "critical"}, r.Labels["severity"]) {
				t.Errorf("severity %q", r.Labels["severity"])
			}
			keys := slices.Sorted(maps.Keys(r.Annotations))
			want := []string{"description", "runbook_url", "summary"}
			if page := r.page(); page != "" {
				want = []string{"description", "page_url", "runbook_url", "summary"}
				if got := r.Annotations["page_url"]; got != page {
					t.Errorf("page_url is\n%s\nwant\n%s", got, page)
				}
			}
			if diff := cmp.Diff(want, keys); diff != "" {
				t.Errorf("annotations (-want +got):\n%s", diff)
			}
			if s := r.Annotations["summary"]; !strings.HasSuffix(s, ".") || len(s) < 20 {
				t.Errorf("summary %q is not a sentence", s)
			}
			if s := r.Annotations["description"]; !strings.HasSuffix(s, ".") || s == r.Annotations["summary"] {
				t.Errorf("description %q says no more than the summary", s)
			}
			if got, want := r.Annotations["runbook_url"], runbookURL+strings.ToLower(r.Alert); got != want {
				t.Errorf("runbook_url is %s, want %s", got, want)
			}
		})
	}
}

// page is the template of the address of the rule's page; empty if it has none.
func (r rule) page() string {
	const (
		known = `{{ with or (printf "pgbailiff_external_url_info{job=%q, instance=%q}" $labels.job $labels.instance | query)` +
			` (query "pgbailiff_external_url_info{job=\"pgbailiff\"}") }}{{ . | first | label "url" }}`
		session = known + `/sessions/{{ $labels.server | urlquery | reReplaceAll "[+]" "%20" }}` +
			`/{{ $labels.pid }}/{{ $labels.backend_start }}{{ end }}`
	)
	switch {
	case r.Alert == "PgbailiffApprovalPending":
		return known + "/approvals{{ end }}"
	case strings.HasPrefix(r.Expr, "pgbailiff_blocked_backends"): // may be of prepared transactions
		return "{{ if $labels.backend_start }}" + session + "{{ end }}"
	case r.periodLabel() != "":
		return session
	default:
		return ""
	}
}

var (
	aggregation = regexp.MustCompile(
		`\b(sum|min|max|avg|group|stddev|stdvar|count|count_values|bottomk|topk|quantile|label_replace|label_join)\b`)
	identified = regexp.MustCompile(
		`^pgbailiff_(query|transaction|idle_in_transaction)_duration_seconds\s+> on \(\) group_left \(\) `)
)

// TestOrdersNameOneSession checks the six habits at the top of the rules file.
func TestOrdersNameOneSession(t *testing.T) {
	var got []alertID
	for _, r := range alerts(t) {
		value, opted := r.Labels["remediation"]
		if !opted {
			continue
		}
		got = append(got, r.id())
		t.Run(r.id().String(), func(t *testing.T) {
			if value != "auto" {
				t.Errorf("remediation is %q, want auto", value)
			}
			if r.For != "" {
				t.Errorf("for %s: the threshold of an age stands in the expression", r.For)
			}
			if found := aggregation.FindString(r.Expr); found != "" {
				t.Errorf("%s drops or rewrites the labels that name the session", found)
			}
			if !identified.MatchString(r.Expr) {
				t.Errorf("does not begin with a series that carries an identity, whole:\n%s", r.Expr)
			}
			if strings.Contains(r.Expr, "group_right") || strings.Count(r.Expr, "group_left") != 1 {
				t.Errorf("joins labels into the alert:\n%s", r.Expr)
			}
		})
	}
	// A cancel only ends a running statement, so an idle transaction has no order at
	// warning.
	want := []alertID{
		{"PgbailiffLongQuery", "warning"},
		{"PgbailiffLongQueryCritical", "critical"},
		{"PgbailiffLongTransaction", "warning"},
		{"PgbailiffLongTransactionCritical", "critical"},
		{"PgbailiffIdleInTransactionCritical", "critical"},
		{"PgbailiffBlockerCritical", "critical"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(alertID{})); diff != "" {
		t.Errorf("alerts that opt in (-want +got):\n%s", diff)
	}
}

var thresholdUse = regexp.MustCompile(`(pgbailiff:threshold_\w+)\{alert="(\w+)"\}`)

// TestThresholds: every rule that looks up a threshold looks up its own, every
// threshold is looked up, and the rule that counts them knows how many there are.
func TestThresholds(t *testing.T) {
	used := map[string]string{}
	for _, r := range alerts(t) {
		for _, use := range thresholdUse.FindAllStringSubmatch(r.Expr, -1) {
			if use[2] != r.Alert {
				t.Errorf("%s uses the threshold of %s", r.Alert, use[2])
			}
			used[r.Alert] = use[1]
		}
	}
	defined := map[string]string{}
	for _, r := range rules(t, thresholdsFile) {
		of := r.Labels["alert"]
		if defined[of] != "" {
			t.Errorf("the threshold of %s is defined twice", of)
		}
		if len(r.Labels) != 1 {
			t.Errorf("the threshold of %s has labels %v, want alert", of, r.Labels)
		}
		defined[of] = r.Record
	}
	if diff := cmp.Diff(used, defined); diff != "" {
		t.Errorf("thresholds (-used by a rule +defined):\n%s", diff)
	}
	for _, count := range []string{
		`count({__name__=~"pgbailiff:threshold_(seconds|backends|ratio)"}) != %d`,
		`count(count by (alert) ({__name__=~"pgbailiff:threshold_(seconds|backends|ratio)"})) != %d`,
	} {
		if count = fmt.Sprintf(count, len(defined)); !bytes.Contains(read(t, rulesFile), []byte(count)) {
			t.Errorf("%s does not have %s", rulesFile, count)
		}
	}
}

// TestCriticalIsAboveWarning compares thresholds, which are products of
// numbers.
func TestCriticalIsAboveWarning(t *testing.T) {
	value := map[string]float64{}
	for _, r := range rules(t, thresholdsFile) {
		product := 1.0
		for factor := range strings.SplitSeq(r.Expr, "*") {
			var f float64
			if _, err := fmt.Sscan(factor, &f); err != nil {
				t.Fatalf("threshold %q: %v", r.Expr, err)
			}
			product *= f
		}
		value[r.Labels["alert"]] = product
	}
	for name, v := range value {
		if warning, critical := strings.CutSuffix(name, "Critical"); critical && v <= value[warning] {
			t.Errorf("%s is not above %s", name, warning)
		}
	}
	if value["PgbailiffIdleInTransaction"] >= value["PgbailiffLongTransaction"] {
		t.Error("an idle transaction would leave PgbailiffLongTransaction before PgbailiffIdleInTransaction fires")
	}
}

// TestEveryAlertIsTested: each alert has a test in which it fires and one in
// which it does not.
func TestEveryAlertIsTested(t *testing.T) {
	type testFile struct {
		Tests []struct {
			Alerts []struct {
				Name     string `yaml:"alertname"`
				Expected []struct {
					Labels map[string]string `yaml:"exp_labels"`
				} `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
			Exprs []struct {
				Expr     string `yaml:"expr"`
				Expected []struct {
					Labels string `yaml:"labels"`
				} `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		} `yaml:"tests"`
	}
	sample := regexp.MustCompile(`^ALERTS\{alertname="(\w+)", alertstate="firing", severity="(\w+)"`)
	names := regexp.MustCompile(`^ALERTS\{alertname=~?"([\w|]+)"`)
	fires, quiet := map[alertID]bool{}, map[string]bool{}
	for _, path := range testFiles(t) {
		var file testFile
		if err := yaml.Unmarshal(read(t, path), &file); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, test := range file.Tests {
			for _, a := range test.Alerts {
				for _, e := range a.Expected {
					fires[alertID{a.Name, e.Labels["severity"]}] = true
				}
				if len(a.Expected) == 0 {
					quiet[a.Name] = true
				}
			}
			for _, e := range test.Exprs {
				for _, s := range e.Expected {
					if m := sample.FindStringSubmatch(s.Labels); m != nil {
						fires[alertID{m[1], m[2]}] = true
					}
				}
				if m := names.FindStringSubmatch(e.Expr); m != nil && len(e.Expected) == 0 {
					for name := range strings.SplitSeq(m[1], "|") {
						quiet[name] = true
					}
				}
			}
		}
	}
	for _, r := range alerts(t) {
		if !fires[r.id()] {
			t.Errorf("no test expects %s to fire", r.id())
		}
		if !quiet[r.Alert] {
			t.Errorf("no test expects %s not to fire", r.Alert)
		}
	}
}
