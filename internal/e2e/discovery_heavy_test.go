//go:build heavy

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// TestPrometheusDiscoversTheServers runs a real Prometheus with the shipped
// configuration: whatever a server is called, it becomes a target with its own
// series, whose label server is what it was, and it comes and goes with its file.
func TestPrometheusDiscoversTheServers(t *testing.T) {
	t.Parallel()
	orders := pgtest.Start(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "servers.json")
	names := []string{"orders", `od"d & {ü} 100%+`}
	list := func(names ...string) {
		var servers []map[string]string
		for _, name := range names {
			servers = append(servers, map[string]string{"name": name, "dsn": orders.DSN("monsig")})
		}
		text, err := json.Marshal(servers)
		if err == nil {
			err = os.WriteFile(file+"~", text, 0o600)
		}
		if err == nil {
			err = os.Rename(file+"~", file)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	list(names...)
	bailiff := serve(t, dir, "servers_files: [servers.json]\ncollector: {targets: probe, min_duration: 0s}\n")
	address := strings.TrimPrefix(bailiff, "http://")
	orders.Run(t, "app", "select pg_sleep(600)")

	settings, err := os.ReadFile(filepath.Join("..", "..", "deploy", "prometheus-fleet.yml"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(
		`"pgbailiff-a:10187", "pgbailiff-b:10187"`, fmt.Sprintf("%q", address), "http://pgbailiff:10187/", bailiff+"/",
		"refresh_interval: 1m", "refresh_interval: 1s", "scrape_interval: 15s", "scrape_interval: 1s", "scrape_timeout: 10s", "scrape_timeout: 1s",
	).Replace(string(settings))
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	prometheus := proctest.Prometheus(t, dir)

	for _, name := range names {
		for _, series := range []string{"up", "pgbailiff_up", "scrape_samples_scraped > 20", "pgbailiff_query_duration_seconds"} {
			metric, condition, _ := strings.Cut(series, " ")
			eventuallyOne(t, prometheus.URL, fmt.Sprintf("sum(%s{job=\"pgbailiff-servers\", instance=%q, server=%q} %s) > 0", metric, address, name, condition))
		}
	}
	eventuallyOne(t, prometheus.URL, `up{job="pgbailiff"} == 1`)
	for expr, want := range map[string]string{
		`count(up{job="pgbailiff-servers"})`:                                    "2",
		`count({exported_server=~".+"}) or vector(0)`:                           "0",
		`count({exported_instance=~".+"}) or vector(0)`:                         "0",
		`count(pgbailiff_up{job="pgbailiff"}) or vector(0)`:                     "0",
		`count(go_goroutines{job="pgbailiff-servers"}) or vector(0)`:            "0",
		`count(pgbailiff_remediation_mode{job="pgbailiff"} == 1)`:               "1",
		`count(pgbailiff_query_duration_seconds{job="pgbailiff"}) or vector(0)`: "0",
	} {
		if diff := cmp.Diff([]string{want}, values(t, prometheus.URL, expr)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", expr, diff)
		}
	}

	list(names[1])
	proctest.Eventually(t, "the other one to be no target any more", func() error {
		if _, err := proctest.Get(t, bailiff+"/probe?server=orders"); err == nil {
			return errors.New("it is probed")
		}
		if got := values(t, prometheus.URL, `count(up{job="pgbailiff-servers"})`); len(got) != 1 || got[0] != "1" {
			return fmt.Errorf("%s targets", got)
		}
		return nil
	})
}

// values are those of an instant query.
func values(t *testing.T, prometheus, expr string) []string {
	t.Helper()
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	body, err := proctest.Get(t, prometheus+"/api/v1/query?query="+url.QueryEscape(expr))
	if err == nil {
		err = json.Unmarshal([]byte(body), &answer)
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range answer.Data.Result {
		all = append(all, fmt.Sprint(r.Value[1]))
	}
	return all
}

func eventuallyOne(t *testing.T, prometheus, expr string) {
	t.Helper()
	proctest.Until(t, "Prometheus to say "+expr, func() bool { return len(values(t, prometheus, expr)) == 1 })
}
