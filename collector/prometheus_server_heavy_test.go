//go:build heavy

package collector_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// prometheusServer is a running Prometheus.
type prometheusServer struct{ *proctest.Server }

// startPrometheus starts a Prometheus that scrapes the target twice a second.
func startPrometheus(t *testing.T, target string) prometheusServer {
	t.Helper()
	dir := t.TempDir()
	settings := fmt.Sprintf(`
global: {scrape_interval: 500ms, scrape_timeout: 500ms}
scrape_configs:
  - job_name: pgbailiff
    static_configs: [{targets: [%q]}]
`, target)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	return prometheusServer{proctest.Prometheus(t, dir)}
}

// watch polls the target every half second until each expression has reached its
// least value. It counts the errors that Prometheus reports for the target.
func (p prometheusServer) watch(t *testing.T, least map[string]float64) map[string]int {
	t.Helper()
	problems := map[string]int{}
	tooLong := time.After(10 * time.Minute)
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for {
		var answer struct {
			Data struct {
				ActiveTargets []struct{ Health, LastError string }
			}
		}
		p.ask(t, "/api/v1/targets", &answer)
		for _, target := range answer.Data.ActiveTargets {
			if target.LastError != "" {
				problems[target.LastError]++
			}
		}
		missing := ""
		for expr, want := range least {
			if got := p.query(t, expr); got < want {
				missing = fmt.Sprintf("%s is %g, want at least %g", expr, got, want)
				break
			}
		}
		if missing == "" {
			return problems
		}
		select {
		case <-ticker.C:
		case <-tooLong:
			t.Error(missing)
			return problems
		}
	}
}

func (p prometheusServer) ask(t *testing.T, path string, answer any) {
	t.Helper()
	body, err := proctest.Get(t, p.URL+path)
	if err == nil {
		err = json.Unmarshal([]byte(body), answer)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// rejected returns Prometheus's counters of rejected samples.
func (p prometheusServer) rejected(t *testing.T) map[string]float64 {
	t.Helper()
	body, err := proctest.Get(t, p.URL+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]float64{}
	for _, m := range regexp.MustCompile(`(?m)^(prometheus_target_scrapes_(?:sample|exceeded)_\w+) (\S+)$`).FindAllStringSubmatch(body, -1) {
		if counts[m[1]], err = strconv.ParseFloat(m[2], 64); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"duplicate_timestamp", "out_of_order", "out_of_bounds"} {
		if _, is := counts["prometheus_target_scrapes_sample_"+name+"_total"]; !is {
			t.Errorf("Prometheus does not count %s", name)
		}
	}
	return counts
}

// query returns the largest current value of an expression, or 0.
func (p prometheusServer) query(t *testing.T, expr string) float64 {
	t.Helper()
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	p.ask(t, "/api/v1/query?query="+url.QueryEscape(expr), &answer)
	values := []float64{0}
	for _, r := range answer.Data.Result {
		v, err := strconv.ParseFloat(fmt.Sprint(r.Value[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	return slices.Max(values)
}
