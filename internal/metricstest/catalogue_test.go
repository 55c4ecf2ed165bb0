package metricstest_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/metricstest"
)

// TestCatalogue looks at one metric of each kind.
func TestCatalogue(t *testing.T) {
	catalogue := metricstest.Catalogue(t)
	for name, want := range map[string]metricstest.Metric{
		"pgbailiff_up":                      {Labels: []string{"server"}},
		"pgbailiff_signal_delay_seconds":    {Labels: []string{}, Histogram: true},
		"pgbailiff_verify_duration_seconds": {Labels: []string{}, Histogram: true},
		"pgbailiff_remediations_total":      {Labels: []string{"action", "outcome", "server"}},
		"pgbailiff_webhook_requests_total":  {Labels: []string{"code"}},
		"pgbailiff_build_info":              {Labels: []string{"branch", "goarch", "goos", "goversion", "revision", "tags", "version"}},
		"process_resident_memory_bytes":     {Labels: []string{}},
		"pgbailiff_query_duration_seconds": {Labels: []string{
			"application_name", "backend_start", "client_addr", "datname", "pid", "query_start", "server", "usename",
		}},
	} {
		if diff := cmp.Diff(want, catalogue[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	want := []string{"pgbailiff_ledger_write_duration_seconds", "pgbailiff_signal_delay_seconds", "pgbailiff_verify_duration_seconds"}
	if got := metricstest.Histograms(catalogue); !slices.Equal(got, want) {
		t.Errorf("histograms %v, want %v", got, want)
	}
}
