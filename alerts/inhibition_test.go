package alerts_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// TestEachRungHasANameOfItsOwn: Alertmanager configurations that compare names
// (kube-prometheus-stack's and OpenShift's do, out of the box) take a critical
// alert of the same name for the same trouble, whatever session it is about.
func TestEachRungHasANameOfItsOwn(t *testing.T) {
	severity := map[string]string{}
	for _, r := range alerts(t) {
		if s, taken := severity[r.Alert]; taken && s != r.Labels["severity"] {
			t.Errorf("%s has the severities %s and %s", r.Alert, s, r.Labels["severity"])
		}
		severity[r.Alert] = r.Labels["severity"]
	}
	for name, s := range severity {
		if mild, is := strings.CutSuffix(name, "Critical"); is && (s != "critical" || severity[mild] != "warning") {
			t.Errorf("%s has severity %s, and %s has %q: want critical and warning", name, s, mild, severity[mild])
		}
	}
}

// kube is what kube-prometheus-stack configures if nobody says otherwise, but
// for the receiver of its watchdog.
const kube = `
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

// TestEveryOrderArrivesBesideKubePrometheusStack: seven sessions are in trouble
// at once, some at warning and some at critical; whoever has put our route and
// receiver into that configuration, with or without our inhibition, gets seven
// orders.
func TestEveryOrderArrivesBesideKubePrometheusStack(t *testing.T) {
	var ordered []rule
	for _, r := range alerts(t) {
		if r.Labels["remediation"] == "auto" {
			ordered = append(ordered, r)
		}
	}
	ordered = append(ordered, ordered[0]) // another session with the same trouble
	if len(ordered) != 7 {
		t.Fatalf("%d sessions, want 7", len(ordered))
	}
	for _, with := range []struct{ namespace, inhibition string }{{"", "theirs"}, {"monitoring", "theirs"}, {"monitoring", "both"}} {
		t.Run(fmt.Sprintf("namespace=%q,inhibition=%s", with.namespace, with.inhibition), func(t *testing.T) {
			inNamespace := func(l labels) labels {
				if with.namespace != "" {
					l["namespace"] = with.namespace
				}
				return l
			}
			var critical, mild, probe []labels
			for i, r := range ordered {
				if l := inNamespace(r.about(i)); r.Labels["severity"] == "critical" {
					critical = append(critical, l)
				} else {
					mild = append(mild, l)
				}
			}
			for _, severity := range []string{"critical", "warning"} {
				probe = append(probe, inNamespace(labels{"alertname": "Probe", "severity": severity}))
			}

			var configuration, ours map[string]any
			if err := yaml.Unmarshal([]byte(kube), &configuration); err != nil {
				t.Fatal(err)
			}
			bailiff := newBailiff(t)
			ours = bailiff.configuration(t)
			configuration["route"].(map[string]any)["routes"] = first(ours["route"].(map[string]any)["routes"])
			configuration["receivers"] = append(first(ours["receivers"]), configuration["receivers"].([]any)...)
			if with.inhibition == "both" {
				configuration["inhibit_rules"] = append(configuration["inhibit_rules"].([]any), ours["inhibit_rules"].([]any)...)
			}
			a := startAlertmanager(t, configuration)

			a.post(t, append(critical, probe...)...)
			eventually(t, "the critical alerts to inhibit", func() bool { return a.inhibited(t, probe[1]) })
			a.post(t, mild...)
			eventually(t, fmt.Sprintf("the orders\n%s", strings.Join(names(slices.Concat(critical, mild)), "\n")), func() bool {
				for _, l := range mild {
					if a.inhibited(t, l) {
						t.Fatalf("%s is kept back; of 7 orders %d have arrived", l.name(), len(bailiff.received()))
					}
				}
				return cmp.Equal(names(slices.Concat(critical, mild)), bailiff.received())
			})
		})
	}
}

// TestOnlyTheSameThingIsInhibited runs alertmanager.yml as it is shipped: where
// the critical rung fires, the warning about the very same session and period is
// kept back, and an order with it; nothing else is.
func TestOnlyTheSameThingIsInhibited(t *testing.T) {
	byName := map[string]rule{}
	for _, r := range alerts(t) {
		byName[r.Alert] = r
	}
	var critical, probes, same, other, arrives []labels
	for _, r := range alerts(t) {
		c, has := byName[r.Alert+"Critical"]
		if !has {
			continue
		}
		probe := r.about(1)
		delete(probe, "remediation")
		probe["of"] = "the test"
		next := r.about(2)
		if begun := r.period(); begun != "" { // the session goes on with something new
			next = r.about(1)
			next[begun] = r.about(2)[begun]
		}
		critical = append(critical, c.about(1))
		other = append(other, r.about(3), next)
		if r.Alert == "PgbailiffRemediationFailed" {
			other = append(other, r.about(1)) // it names no session: each is news
			continue
		}
		probes, same = append(probes, probe), append(same, r.about(1))
	}
	if len(same) != 8 {
		t.Errorf("%d pairs of rungs, want 8", len(same))
	}
	for _, l := range slices.Concat(critical, other) {
		if l["remediation"] == "auto" {
			arrives = append(arrives, l)
		}
	}

	bailiff := newBailiff(t)
	a := startAlertmanager(t, bailiff.configuration(t))
	a.post(t, slices.Concat(critical, probes)...)
	for _, l := range probes {
		eventually(t, l.name()+" to be kept back", func() bool { return a.inhibited(t, l) })
	}
	a.post(t, slices.Concat(same, other)...)
	for _, l := range same {
		if !a.inhibited(t, l) {
			t.Errorf("%s is not kept back", l.name())
		}
	}
	for _, l := range other {
		if a.inhibited(t, l) {
			t.Fatalf("%s is kept back by an alert about something else", l.name())
		}
	}
	eventually(t, "the other sessions' orders", func() bool { return len(bailiff.received()) >= len(arrives) })
	if diff := cmp.Diff(names(arrives), bailiff.received()); diff != "" {
		t.Errorf("orders (-want +received):\n%s", diff)
	}
}
