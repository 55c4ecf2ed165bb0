package dashboards_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/metricstest"
)

// contract is every metric that a board may use, by name. A name that the
// boards use and that is not here is a typo. The live stack compares it to what
// is exposed.
type contract map[string]metricstest.Metric

func newContract(t *testing.T) contract {
	t.Helper()
	return metricstest.Catalogue(t)
}

// labelsOf are the labels of a series of this name; false if no program exposes
// it.
func (c contract) labelsOf(name string) ([]string, bool) {
	target := []string{"job", "instance"}
	if name == "ALERTS" { // Prometheus's own, made from the shipped rules
		return append(target, "alertname", "alertstate", "severity", "remediation",
			"server", "pid", "backend_start", "action", "outcome", "reason"), true
	}
	if metric, is := c[name]; is && !metric.Histogram {
		return append(target, metric.Labels...), true
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		metric, is := c[strings.TrimSuffix(name, suffix)]
		if !is || !metric.Histogram || !strings.HasSuffix(name, suffix) {
			continue
		}
		labels := slices.Concat(target, metric.Labels)
		if suffix == "_bucket" {
			labels = append(labels, "le")
		}
		return labels, true
	}
	return nil, false
}

func TestLabelsOf(t *testing.T) {
	c := newContract(t)
	for name, want := range map[string][]string{
		"pgbailiff_up":                          {"job", "instance", "server"},
		"pgbailiff_signal_delay_seconds_bucket": {"job", "instance", "le"},
		"pgbailiff_signal_delay_seconds_count":  {"job", "instance"},
		"pgbailiff_signal_delay_seconds":        nil,
		"pgbailiff_up_count":                    nil,
		"pgbailiff_typo":                        nil,
	} {
		if got, is := c.labelsOf(name); !slices.Equal(got, want) || is != (want != nil) {
			t.Errorf("%s: %v, %t; want %v", name, got, is, want)
		}
	}
}
