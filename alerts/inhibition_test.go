package alerts_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// TestNamesDifferBySeverity: some Alertmanager configurations inhibit by name,
// by default those of kube-prometheus-stack and OpenShift. There a critical
// alert inhibits the warnings of the same name, whichever session they are
// about.
func TestNamesDifferBySeverity(t *testing.T) {
	severity := map[string]string{}
	for _, r := range alerts(t) {
		if s, taken := severity[r.Alert]; taken && s != r.Labels["severity"] {
			t.Errorf("%s has the severities %s and %s", r.Alert, s, r.Labels["severity"])
		}
		severity[r.Alert] = r.Labels["severity"]
	}
	for name, s := range severity {
		if warning, is := strings.CutSuffix(name, "Critical"); is && (s != "critical" || severity[warning] != "warning") {
			t.Errorf("%s has severity %s, and %s has %q: want critical and warning", name, s, warning, severity[warning])
		}
	}
}

// kubePrometheusStack is that chart's default configuration, without the
// receiver of its watchdog.
const kubePrometheusStack = `
route:
  group_by: [namespace]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 12h
  receiver: "null"
receivers:
  - name: "null"
inhibit_rules:
  - source_matchers: ['severity = critical']
    target_matchers: ['severity =~ warning|info']
    equal: [namespace, alertname]
  - source_matchers: ['severity = warning']
    target_matchers: ['severity = info']
    equal: [namespace, alertname]
  - source_matchers: ['alertname = InfoInhibitor']
    target_matchers: ['severity = info']
    equal: [namespace]
  - target_matchers: ['alertname = InfoInhibitor']
`

// TestOrdersWithKubePrometheusStack adds our route and receiver to that
// configuration, with and without our inhibition. Alerts about seven sessions
// fire at once, some at warning and some at critical, and all seven orders must
// arrive.
func TestOrdersWithKubePrometheusStack(t *testing.T) {
	var ordered []rule
	for _, r := range alerts(t) {
		if r.Labels["remediation"] == "auto" {
			ordered = append(ordered, r)
		}
	}
	ordered = append(ordered, ordered[0]) // the same alert about another session
	if len(ordered) != 7 {
		t.Fatalf("%d sessions, want 7", len(ordered))
	}
	for _, tt := range []struct{ namespace, inhibition string }{
		{"", "theirs"}, {"monitoring", "theirs"}, {"monitoring", "both"},
	} {
		t.Run(fmt.Sprintf("namespace=%q,inhibition=%s", tt.namespace, tt.inhibition), func(t *testing.T) {
			inNamespace := func(l labels) labels {
				if tt.namespace != "" {
					l["namespace"] = tt.namespace
				}
				return l
			}
			var critical, warnings, probes []labels
			for i, r := range ordered {
				if l := inNamespace(r.labelsFor(i)); r.Labels["severity"] == "critical" {
					critical = append(critical, l)
				} else {
					warnings = append(warnings, l)
				}
			}
			for _, severity := range []string{"critical", "warning"} {
				probes = append(probes, inNamespace(labels{"alertname": "Probe", "severity": severity}))
			}

			var configuration, ours map[string]any
			if err := yaml.Unmarshal([]byte(kubePrometheusStack), &configuration); err != nil {
				t.Fatal(err)
			}
			orders := newReceiver(t)
			ours = orders.configuration(t)
			configuration["route"].(map[string]any)["routes"] = first(ours["route"].(map[string]any)["routes"])
			configuration["receivers"] = append(first(ours["receivers"]), configuration["receivers"].([]any)...)
			if tt.inhibition == "both" {
				configuration["inhibit_rules"] = append(configuration["inhibit_rules"].([]any), ours["inhibit_rules"].([]any)...)
			}
			a := startAlertmanager(t, configuration)

			a.post(t, append(critical, probes...)...)
			a.awaitInhibited(t, probes[1]) // from now on critical alerts inhibit
			a.post(t, warnings...)
			proctest.Eventually(t, "the orders", func() error {
				for _, l := range warnings {
					if a.inhibited(t, l) {
						t.Fatalf("%s is inhibited; of 7 orders %d have arrived", l.name(), len(orders.received()))
					}
				}
				return different(names(slices.Concat(critical, warnings)), orders.received())
			})
		})
	}
}

// TestInhibition runs alertmanager.yml as it is shipped: a critical alert
// inhibits the warning about the same session and period, which may be an
// order, and nothing else.
func TestInhibition(t *testing.T) {
	byName := map[string]rule{}
	for _, r := range alerts(t) {
		byName[r.Alert] = r
	}
	var critical, probes, same, other, arrives []labels
	for _, r := range alerts(t) {
		c, is := byName[r.Alert+"Critical"]
		if !is {
			continue
		}
		probe := r.labelsFor(1)
		delete(probe, "remediation")
		probe["of"] = "the test"
		next := r.labelsFor(2)
		if period := r.periodLabel(); period != "" { // the same session in its next period
			next = r.labelsFor(1)
			next[period] = r.labelsFor(2)[period]
		}
		critical = append(critical, c.labelsFor(1))
		other = append(other, r.labelsFor(3), next)
		if r.Alert == "PgbailiffRemediationFailed" {
			other = append(other, r.labelsFor(1)) // it names no session, so it is not inhibited
			continue
		}
		probes, same = append(probes, probe), append(same, r.labelsFor(1))
	}
	if len(same) != 8 {
		t.Errorf("%d pairs of warning and critical, want 8", len(same))
	}
	for _, l := range slices.Concat(critical, other) {
		if l["remediation"] == "auto" {
			arrives = append(arrives, l)
		}
	}

	orders := newReceiver(t)
	a := startAlertmanager(t, orders.configuration(t))
	a.post(t, slices.Concat(critical, probes)...)
	for _, l := range probes {
		a.awaitInhibited(t, l)
	}
	a.post(t, slices.Concat(same, other)...)
	for _, l := range same {
		if !a.inhibited(t, l) {
			t.Errorf("%s is not inhibited", l.name())
		}
	}
	for _, l := range other {
		if a.inhibited(t, l) {
			t.Fatalf("%s is inhibited by an alert about something else", l.name())
		}
	}
	proctest.Eventually(t, "the orders about other sessions", func() error {
		if got := len(orders.received()); got < len(arrives) {
			return fmt.Errorf("%d of %d", got, len(arrives))
		}
		return nil
	})
	if err := different(names(arrives), orders.received()); err != nil {
		t.Error(err)
	}
}

// different compares the orders that were received.
func different(want, got []string) error {
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("orders (-want +received):\n%s", diff)
	}
	return nil
}
