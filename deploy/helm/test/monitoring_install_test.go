//go:build install

package test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// jsonOf is a YAML text as plain values, without anything that only looks different.
func jsonOf(t *testing.T, text []byte) any {
	t.Helper()
	var value any
	if err := yaml.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// The rules are the repository's, and promtool takes them.
func TestRules(t *testing.T) {
	for set, changed := range map[string]map[string]string{
		"one-server": nil,
		"everything": {
			"PgbailiffLongQuery": "120", "PgbailiffLongQueryCritical": "10 * 60",
			"PgbailiffLockPileUpCritical": "1e+09", "PgbailiffConnectionsNearLimit": "0.7",
		},
	} {
		rule := one[*monitoringv1.PrometheusRule](t, decode(t, render(t, set)))
		got, err := yaml.Marshal(rule.Spec)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "rules.yml")
		write(t, file, string(got))
		run(t, ".", "promtool", "check", "rules", file)

		var want []any
		for _, name := range []string{"pgbailiff.thresholds.yml", "pgbailiff.rules.yml"} {
			groups := jsonOf(t, []byte(read(t, root+"/alerts/"+name))).(map[string]any)["groups"].([]any)
			want = append(want, groups...)
		}
		for _, rule := range want[0].(map[string]any)["rules"].([]any) {
			rule := rule.(map[string]any)
			if expr := changed[rule["labels"].(map[string]any)["alert"].(string)]; expr != "" {
				rule["expr"] = expr
			}
		}
		normalize(want)
		groups := jsonOf(t, got).(map[string]any)["groups"].([]any)
		normalize(groups)
		if diff := cmp.Diff(want, groups); diff != "" {
			t.Errorf("%s (-alerts +PrometheusRule):\n%s", set, diff)
		}
	}
}

// normalize writes every expression as a text: 0.8 and "0.8" are the same.
func normalize(groups []any) {
	for _, group := range groups {
		for _, rule := range group.(map[string]any)["rules"].([]any) {
			rule := rule.(map[string]any)
			rule["expr"] = fmt.Sprint(rule["expr"])
		}
	}
}

// Grafana's sidecar gets each dashboard, byte for byte.
func TestDashboards(t *testing.T) {
	for set, wanted := range map[string]struct{ label, value, folder string }{
		"one-server": {"grafana_dashboard", "1", ""},
		"everything": {"my_dashboard", "yes", "Databases"},
	} {
		got := map[string]string{}
		for _, object := range find[*corev1.ConfigMap](decode(t, render(t, set))) {
			if object.Labels[wanted.label] != wanted.value {
				continue
			}
			if object.Annotations["grafana_folder"] != wanted.folder {
				t.Errorf("%s: the folder of %s is %q", set, object.Name, object.Annotations["grafana_folder"])
			}
			for name, text := range object.Data {
				got[name] = strings.TrimSuffix(text, "\n")
				if !json.Valid([]byte(text)) {
					t.Errorf("%s is no JSON", name)
				}
			}
		}
		want := map[string]string{}
		for _, path := range dashboards(t) {
			want[filepath.Base(path)] = strings.TrimSuffix(read(t, path), "\n")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-dashboards +ConfigMaps):\n%s", set, diff)
		}
	}
}

// The rules look for jobs by their names, whatever the Service is called.
func TestJobs(t *testing.T) {
	fleet := read(t, root+"/deploy/prometheus-fleet.yml")
	job := func(relabelings []monitoringv1.RelabelConfig) string {
		name := ""
		for _, r := range relabelings {
			if r.TargetLabel == "job" && r.Replacement != nil {
				name = *r.Replacement
			}
		}
		return name
	}
	for _, set := range []string{"one-server", "many-servers", "postgres-ledger", "everything", "restricted"} {
		objects := decode(t, render(t, set))
		names := map[string]bool{}
		for _, monitor := range find[*monitoringv1.ServiceMonitor](objects) {
			names[job(monitor.Spec.Endpoints[0].RelabelConfigs)] = true
		}
		for _, monitor := range find[*monitoringv1.PodMonitor](objects) {
			names[job(monitor.Spec.PodMetricsEndpoints[0].RelabelConfigs)] = true
		}
		if !names["pgbailiff"] || len(names) != 1 || !strings.Contains(fleet, "job_name: pgbailiff\n") {
			t.Errorf("%s: the jobs are %v", set, names)
		}
		if set == "one-server" {
			if n := len(find[*monitoringv1alpha1.ScrapeConfig](objects)); n != 0 {
				t.Errorf("%s: %d ScrapeConfigs, and the servers are in /metrics", set, n)
			}
			continue
		}
		checkScrapeConfig(t, one[*monitoringv1alpha1.ScrapeConfig](t, objects), one[*corev1.Service](t, objects))
	}
}

// checkScrapeConfig compares with the job of deploy/prometheus-fleet.yml.
func checkScrapeConfig(t *testing.T, scrape *monitoringv1alpha1.ScrapeConfig, service *corev1.Service) {
	t.Helper()
	var fleet struct {
		Jobs []struct {
			Name        string `json:"job_name"`
			HonorLabels bool   `json:"honor_labels"`
			HTTP        []struct {
				URL string `json:"url"`
			} `json:"http_sd_configs"`
		} `json:"scrape_configs"`
	}
	if err := yaml.Unmarshal([]byte(read(t, root+"/deploy/prometheus-fleet.yml")), &fleet); err != nil {
		t.Fatal(err)
	}
	example := fleet.Jobs[1]
	if scrape.Spec.JobName == nil || *scrape.Spec.JobName != example.Name {
		t.Errorf("the job is %v, want %s", scrape.Spec.JobName, example.Name)
	}
	if scrape.Spec.HonorLabels == nil || *scrape.Spec.HonorLabels != example.HonorLabels || !example.HonorLabels {
		t.Error("the label server would become exported_server")
	}
	address := fmt.Sprintf("%s.watch.svc:%d", service.Name, service.Spec.Ports[0].Port)
	if got, want := string(scrape.Spec.HTTPSDConfigs[0].URL), strings.Replace(example.HTTP[0].URL, "pgbailiff:10187", address, 1); got != want {
		t.Errorf("the targets are at %s, want %s", got, want)
	}
	for label, want := range map[string]string{"__address__": address, "__metrics_path__": "/probe", "namespace": "watch", "__scheme__": "http"} {
		if !slices.ContainsFunc(scrape.Spec.RelabelConfigs, func(r monitoringv1.RelabelConfig) bool {
			return r.TargetLabel == label && r.Replacement != nil && *r.Replacement == want
		}) {
			t.Errorf("nothing makes %s %s", label, want)
		}
	}
}

// The AlertmanagerConfig means what alerts/alertmanager.yml says, with the Service's
// address and the Secret's token.
func TestAlertmanagerConfig(t *testing.T) {
	var file struct {
		Route struct {
			Routes []map[string]any `json:"routes"`
		} `json:"route"`
		Inhibit   []map[string]any `json:"inhibit_rules"`
		Receivers []map[string]any `json:"receivers"`
	}
	if err := yaml.Unmarshal([]byte(read(t, root+"/alerts/alertmanager.yml")), &file); err != nil {
		t.Fatal(err)
	}
	for set, c := range map[string]struct{ url, key string }{
		"one-server": {"http://pgbailiff.watch.svc:10187/webhook", "token"},
		// The webhook has a port of its own.
		"everything": {"http://pgbailiff.watch.svc:10188/webhook", "bearer"},
	} {
		spec := one[*monitoringv1alpha1.AlertmanagerConfig](t, decode(t, render(t, set))).Spec
		route := map[string]any{
			"receiver": spec.Route.Receiver, "matchers": matchers(spec.Route.Matchers), "continue": spec.Route.Continue,
			"group_by": list(spec.Route.GroupBy), "group_wait": string(*spec.Route.GroupWait),
			"group_interval": string(*spec.Route.GroupInterval), "repeat_interval": string(*spec.Route.RepeatInterval),
		}
		if diff := cmp.Diff(file.Route.Routes[0], route); diff != "" {
			t.Errorf("%s: the route (-alertmanager.yml +AlertmanagerConfig):\n%s", set, diff)
		}
		var inhibit []map[string]any
		for _, rule := range spec.InhibitRules {
			inhibit = append(inhibit, map[string]any{
				"source_matchers": matchers(rule.SourceMatch), "target_matchers": matchers(rule.TargetMatch), "equal": list(rule.Equal),
			})
		}
		if diff := cmp.Diff(file.Inhibit, inhibit); diff != "" {
			t.Errorf("%s: the inhibition (-alertmanager.yml +AlertmanagerConfig):\n%s", set, diff)
		}
		hook := spec.Receivers[0].WebhookConfigs[0]
		token := hook.HTTPConfig.Authorization.Credentials
		want := file.Receivers[0]
		example := want["webhook_configs"].([]any)[0].(map[string]any)
		example["url"] = c.url
		example["http_config"].(map[string]any)["authorization"].(map[string]any)["credentials_file"] = "pgbailiff-webhook/" + c.key
		got := map[string]any{"name": spec.Receivers[0].Name, "webhook_configs": []any{map[string]any{
			"url": *hook.URL, "send_resolved": *hook.SendResolved, "max_alerts": float64(hook.MaxAlerts),
			"http_config": map[string]any{
				"follow_redirects": *hook.HTTPConfig.FollowRedirects,
				"authorization": map[string]any{
					"type": hook.HTTPConfig.Authorization.Type, "credentials_file": token.Name + "/" + token.Key,
				},
			},
		}}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: the receiver (-alertmanager.yml +AlertmanagerConfig):\n%s", set, diff)
		}
	}
}

// matchers are written as in alertmanager.yml.
func matchers(list []monitoringv1alpha1.Matcher) []any {
	var texts []any
	for _, m := range list {
		texts = append(texts, fmt.Sprintf("%s%s%q", m.Name, m.MatchType, m.Value))
	}
	return texts
}

func list(texts []string) []any {
	var values []any
	for _, text := range texts {
		values = append(values, text)
	}
	return values
}
