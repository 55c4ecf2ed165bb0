package e2e

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"

	"github.com/pgbailiff/pgbailiff/internal/metricstest"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// TestMetrics reads /metrics of the running binary: of one server with sessions
// in every state and with texts that need escaping, and one that is down.
func TestMetrics(t *testing.T) {
	t.Parallel()
	promtool := proctest.Find(t, "promtool")
	orders := pgtest.Start(t, "compute_query_id=on")
	url := serve(t, t.TempDir(), fmt.Sprintf(`
servers:
  - name: orders
    dsn: %s
  - name: down
    dsn: postgresql://nobody@127.0.0.1:1/postgres?sslmode=disable
collector:
  min_duration: 0s
  query_text: full
`, orders.DSN("monsig")))

	orders.Exec(t, "create table stock (item int)", "grant all on stock to public", `create database "sh""op\ ü" template template0`,
		`create database raw encoding 'SQL_ASCII' locale 'C' template template0`)
	orders.Run(t, "app", "select pg_sleep(600) /* \"quoted\" \\ and\non two lines, ü */", pgtest.AppName(`a"b\c {d="e"} ü`))
	orders.Run(t, "etl", "select pg_sleep(600)", database(`sh"op\ ü`))
	orders.Run(t, "app", "select pg_sleep(600) -- \xff\xfe\x80", database("raw"), anyBytes)
	orders.IdleInTransaction(t, "app", "lock table stock")
	orders.Blocked(t, "app2", "select * from stock")
	orders.AbortedTransaction(t, "app")
	orders.CopyFromStdin(t, "app")
	orders.Open(t, "app")

	text, err := proctest.Get(t, url+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{
		"pgbailiff_query_duration_seconds{":               5,
		"pgbailiff_transaction_duration_seconds{":         6,
		"pgbailiff_idle_in_transaction_duration_seconds{": 2,
		"pgbailiff_query_info{":                           7,
		`pgbailiff_up{server="orders"} 1`:                 1,
		`pgbailiff_up{server="down"} 0`:                   1,
	} {
		if got := strings.Count(text, "\n"+name); got != want {
			t.Errorf("%d times %s, want %d", got, name, want)
		}
	}

	t.Run("promtool", func(t *testing.T) {
		check := exec.CommandContext(t.Context(), promtool, "check", "metrics")
		check.Stdin = strings.NewReader(text)
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("promtool check metrics: %v\n%s", err, out)
		}
	})
	t.Run("lint", func(t *testing.T) {
		problems, err := promlint.New(strings.NewReader(text)).Lint()
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range problems {
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
	})
	t.Run("OpenMetrics", func(t *testing.T) {
		answer, err := proctest.Fetch(t.Context(), http.MethodGet, url+"/metrics", nil, "Accept: application/openmetrics-text; version=1.0.0")
		if err != nil {
			t.Fatal(err)
		}
		if kind := answer.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/openmetrics-text") {
			t.Errorf("Content-Type: %s", kind)
		}
		if !strings.Contains(answer.Body, "\n# TYPE pgbailiff_webhook_requests counter\n") || !strings.HasSuffix(answer.Body, "\n# EOF\n") {
			t.Errorf("this is not OpenMetrics: %.1000s", answer.Body)
		}
	})
	t.Run("native histograms", func(t *testing.T) {
		want := metricstest.Histograms(metricstest.Catalogue(t))
		if got := nativeHistograms(t, url); !slices.Equal(got, want) {
			t.Errorf("native and classic: %v, want %v", got, want)
		}
	})
}

// database is an option of pgtest's sessions.
func database(name string) func(*pgx.ConnConfig) {
	return func(c *pgx.ConnConfig) { c.Database = name }
}

// anyBytes lets a session send what is not UTF-8.
func anyBytes(c *pgx.ConnConfig) { c.RuntimeParams["client_encoding"] = "SQL_ASCII" }

// nativeHistograms returns the names of our histograms that are both native
// and classic.
func nativeHistograms(t *testing.T, url string) []string {
	t.Helper()
	answer, err := proctest.Fetch(t.Context(), http.MethodGet, url+"/metrics", nil,
		"Accept: application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited")
	if err != nil {
		t.Fatal(err)
	}
	families := map[string]bool{}
	decoder := expfmt.NewDecoder(strings.NewReader(answer.Body), expfmt.ResponseFormat(answer.Header))
	for {
		family := newArgument(decoder.Decode)
		err := decoder.Decode(family)
		if errors.Is(err, io.EOF) {
			return slices.Sorted(maps.Keys(families))
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range family.GetMetric() {
			h := m.GetHistogram()
			if strings.HasPrefix(family.GetName(), "pgbailiff_") && h.GetZeroThreshold() > 0 && len(h.GetBucket()) > 0 {
				families[family.GetName()] = true
			}
		}
	}
}

// newArgument returns a value for a decoder to fill.
func newArgument[T any](func(*T) error) *T { return new(T) }

// TestMetricsFromTheStart: every series about pgbailiff itself, with every
// combination of labels, is there from the start at zero, so that an alert on it
// never meets a missing series.
func TestMetricsFromTheStart(t *testing.T) {
	t.Parallel()
	url := serve(t, t.TempDir(), `
servers:
  - name: orders
    dsn: postgresql://nobody@127.0.0.1:1/postgres?sslmode=disable
  - name: billing
    dsn: postgresql://nobody@127.0.0.1:1/postgres?sslmode=disable
`)
	text, err := proctest.Get(t, url+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{} // series: value
	for line := range strings.Lines(text) {
		if i := strings.LastIndexByte(line, ' '); i > 0 && !strings.HasPrefix(line, "#") {
			got[line[:i]] = strings.TrimSpace(line[i:])
		}
	}
	zero := func(format string, args ...any) {
		t.Helper()
		series := fmt.Sprintf(format, args...)
		if value, ok := got[series]; value != "0" {
			t.Errorf("%s: %q (there: %t), want 0", series, value, ok)
		}
	}
	there := func(prefix string) {
		t.Helper()
		if !strings.Contains(text, "\n"+prefix) {
			t.Errorf("no series %s", prefix)
		}
	}

	for _, code := range []int{200, 400, 401, 403, 405, 413, 415, 503} {
		zero(`pgbailiff_webhook_requests_total{code="%s"}`, strconv.Itoa(code))
	}
	for _, status := range []string{"firing", "resolved"} {
		zero(`pgbailiff_webhook_alerts_total{status=%q}`, status)
	}
	zero("pgbailiff_webhook_truncated_alerts_total")
	for _, server := range []string{"", "orders", "billing"} {
		for _, action := range []string{"none", "cancel", "terminate", "cancel-then-terminate"} {
			for _, outcome := range []string{
				"cancelled", "terminated", "ignored", "superseded", "gone", "refused", "dry_run", "failed",
			} {
				zero(`pgbailiff_remediations_total{action=%q,outcome=%q,server=%q}`, action, outcome, server)
			}
		}
		for _, reason := range []string{
			"mode_off", "no_pid", "bad_label", "unknown_server", "no_identity", "not_visible",
			"protected_backend", "protected_user", "protected_backup", "protected_maintenance", "sync_rep",
			"rule", "no_action", "cannot_cancel", "over_budget", "suspended", "permission_denied",
		} {
			zero(`pgbailiff_refusals_total{reason=%q,server=%q}`, reason, server)
		}
	}
	for _, server := range []string{"orders", "billing"} {
		zero(`pgbailiff_remediation_suspended{server=%q}`, server)
		zero(`pgbailiff_up{server=%q}`, server)
		there(fmt.Sprintf(`pgbailiff_can_signal{server=%q}`, server))
		there(fmt.Sprintf(`pgbailiff_can_see{server=%q}`, server))
		there(fmt.Sprintf(`pgbailiff_scrape_duration_seconds{server=%q}`, server))
	}
	for _, histogram := range metricstest.Histograms(metricstest.Catalogue(t)) {
		zero(`%s_count`, histogram)
		zero(`%s_bucket{le="+Inf"}`, histogram)
	}
	zero(`pgbailiff_remediation_mode{mode="off"}`)
	zero(`pgbailiff_remediation_mode{mode="enforce"}`)
	there(`pgbailiff_remediation_mode{mode="dry-run"} 1`)
	there("pgbailiff_config_last_reload_successful 1")
	there("pgbailiff_config_last_reload_success_timestamp_seconds ")
	there("pgbailiff_build_info{")
	there("go_goroutines ")
	there("process_resident_memory_bytes ")
}
