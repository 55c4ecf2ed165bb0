package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// fleetThresholds are those of the shipped rules that the story reaches, in
// seconds. No other is near.
var fleetThresholds = map[string]int{
	"PgbailiffLongQuery": 3, "PgbailiffLongQueryCritical": 10, "PgbailiffIdleInTransactionCritical": 5, "PgbailiffBlockerCritical": 1e6,
}

// startPrometheuses starts some that do not know each other. They find the
// servers at the replicas' address, scrape them there, and evaluate the shipped
// rules.
func startPrometheuses(t testing.TB, f *fleet, n int, alertmanagers []string) (urls []string) {
	t.Helper()
	for i := range n {
		dir := filepath.Join(t.TempDir(), fmt.Sprint("prometheus", i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		thresholds := shipped(t, "alerts/pgbailiff.thresholds.yml")
		for alert, seconds := range fleetThresholds {
			of := regexp.MustCompile(`expr: .*(\n +labels: \{alert: ` + alert + `\})`)
			if !of.MatchString(thresholds) {
				t.Fatalf("there is no threshold of %s", alert)
			}
			thresholds = of.ReplaceAllString(thresholds, fmt.Sprintf("expr: %d$1", seconds))
		}
		write(t, dir, "thresholds.yml", thresholds)
		write(t, dir, "rules.yml", shipped(t, "alerts/pgbailiff.rules.yml"))
		write(t, dir, "prometheus.yml", fmt.Sprintf(`
global:
  evaluation_interval: 1s
  external_labels: {replica: prometheus%d}
rule_files: [thresholds.yml, rules.yml]
alerting:
  alert_relabel_configs: [{action: labeldrop, regex: replica}]
  alertmanagers:
    - static_configs:
        - targets: [%s]
%s`, i, addresses(alertmanagers), f.scrapeConfigs()))
		urls = append(urls, proctest.Prometheus(t, dir).URL)
	}
	return urls
}

// scrapeConfigs are the shipped ones, with our addresses, and in a hurry.
func (f *fleet) scrapeConfigs() string {
	f.t.Helper()
	text := shipped(f.t, "deploy/prometheus-fleet.yml")
	for _, swap := range [][2]string{
		{`"pgbailiff-a:10187", "pgbailiff-b:10187"`, addresses(f.urls())},
		{"http://pgbailiff:10187", f.url},
		{"scrape_interval: 15s", "scrape_interval: 3s"},
		{"scrape_timeout: 10s", "scrape_timeout: 3s"},
		{"refresh_interval: 1m", "refresh_interval: 5s"},
	} {
		if !strings.Contains(text, swap[0]) {
			f.t.Fatalf("deploy/prometheus-fleet.yml has no %s", swap[0])
		}
		text = strings.ReplaceAll(text, swap[0], swap[1])
	}
	return text
}

// shipped is a file that we ship.
func shipped(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// addresses are those of URLs, as a list in YAML.
func addresses(urls []string) string {
	return `"` + strings.ReplaceAll(strings.Join(urls, `", "`), "http://", "") + `"`
}

func (f *fleet) urls() (all []string) {
	for _, r := range f.replicas {
		all = append(all, r.url())
	}
	return all
}

// askPrometheus asks for a list of strings, or for how many series a query gives.
func askPrometheus[T any](t testing.TB, prometheus, path string, query url.Values) (T, error) {
	t.Helper()
	var answer struct{ Data T }
	text, err := proctest.Get(t, prometheus+path+"?"+query.Encode())
	if err == nil {
		err = json.Unmarshal([]byte(text), &answer)
	}
	return answer.Data, err
}

// eachKnows waits until each Prometheus has a result for a query.
func eachKnows(t testing.TB, prometheuses []string, query string) {
	t.Helper()
	for _, prometheus := range prometheuses {
		proctest.Eventually(t, fmt.Sprintf("%s at %s", query, prometheus), func() error {
			got, err := askPrometheus[struct{ Result []json.RawMessage }](t, prometheus, "/api/v1/query", url.Values{"query": {query}})
			if err == nil && len(got.Result) == 0 {
				err = fmt.Errorf("it has none")
			}
			return err
		})
	}
}

// expectSeries compares the names of the metrics of a server at a Prometheus with
// those of /probe. No label was renamed on the way.
func expectSeries(t testing.TB, prometheus string, f *fleet, server string) {
	t.Helper()
	text, err := proctest.Get(t, f.url+"/probe?server="+url.QueryEscape(server))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, name := range regexp.MustCompile(`(?m)^([a-z_]+)[{ ]`).FindAllStringSubmatch(text, -1) {
		want = append(want, name[1])
	}
	slices.Sort(want)
	want = slices.Compact(want)
	if len(want) < 10 {
		t.Errorf("/probe has only %q", want)
	}
	proctest.Eventually(t, "the series of "+server, func() error {
		selector := url.Values{"match[]": {fmt.Sprintf(`{server=%q}`, server)}}
		got, err := askPrometheus[[]string](t, prometheus, "/api/v1/label/__name__/values", selector)
		if err != nil {
			return err
		}
		for _, name := range want {
			if !slices.Contains(got, name) {
				return fmt.Errorf("%s is missing in %q", name, got)
			}
		}
		return nil
	})
	known, err := askPrometheus[[]string](t, prometheus, "/api/v1/labels", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, label := range known {
		if strings.HasPrefix(label, "exported_") {
			t.Errorf("%s has the label %s", prometheus, label)
		}
	}
}
