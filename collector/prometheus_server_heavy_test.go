//go:build heavy

package collector_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// prometheusServer is a running Prometheus.
type prometheusServer struct {
	url    string
	client *http.Client
}

// startPrometheus starts a Prometheus that scrapes the target twice a second.
func startPrometheus(t *testing.T, target string) prometheusServer {
	t.Helper()
	binary, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatal("this test needs Prometheus: install what Debian packages as prometheus")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	settings := fmt.Sprintf(`
global: {scrape_interval: 500ms, scrape_timeout: 500ms}
scrape_configs:
  - job_name: pgbailiff
    static_configs: [{targets: [%q]}]
`, target)
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", proctest.FreePort(t))
	var said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, "--config.file="+file,
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = cmd.Wait() // the end of the test's context stops it
		if t.Failed() {
			t.Logf("Prometheus said:\n%s", &said)
		}
	})
	p := prometheusServer{url: "http://" + address, client: &http.Client{Transport: transport, Timeout: time.Minute}}
	for ready := time.Now().Add(time.Minute); ; {
		if _, err := p.get(t.Context(), "/-/ready"); err == nil {
			return p
		} else if time.Now().After(ready) {
			t.Fatal(err)
		}
		<-time.After(50 * time.Millisecond)
	}
}

func (p prometheusServer) get(ctx context.Context, path string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, nil)
	if err != nil {
		return nil, err
	}
	answer, err := p.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, answer.Status, body)
	}
	return body, err
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
	body, err := p.get(t.Context(), path)
	if err == nil {
		err = json.Unmarshal(body, answer)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// rejected returns Prometheus's counters of rejected samples.
func (p prometheusServer) rejected(t *testing.T) map[string]float64 {
	t.Helper()
	body, err := p.get(t.Context(), "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]float64{}
	for _, m := range regexp.MustCompile(`(?m)^(prometheus_target_scrapes_(?:sample|exceeded)_\w+) (\S+)$`).FindAllStringSubmatch(string(body), -1) {
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
