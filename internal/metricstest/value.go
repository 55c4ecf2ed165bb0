package metricstest

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Value returns the value of one gauge or counter, written as name{label=value,…}
// with the labels in order. The test fails if there is none.
func Value(t testing.TB, registry prometheus.Gatherer, series string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	name, _, _ := strings.Cut(series, "{")
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			var pairs []string
			for _, l := range m.GetLabel() {
				pairs = append(pairs, l.GetName()+"="+l.GetValue())
			}
			if series == name+"{"+strings.Join(pairs, ",")+"}" {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("there is no series %s", series)
	return 0
}
