package collector_test

import (
	"math"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"

	"github.com/pgbailiff/pgbailiff/collector"
)

// The metrics equal those of the client library in name, help, type and value.
func TestProcessMetricsAreTheLibrarys(t *testing.T) {
	gather := func(c prometheus.Collector) map[string]*dto.MetricFamily {
		reg := prometheus.NewRegistry()
		reg.MustRegister(c)
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]*dto.MetricFamily{}
		for _, f := range families {
			out[f.GetName()] = f
		}
		return out
	}
	theirs := gather(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	ours := gather(collector.NewProcess())
	// How far a value may change between the two readings.
	tolerance := map[string]float64{
		"process_cpu_seconds_total": 60, "process_open_fds": 10, "process_max_fds": 0,
		"process_virtual_memory_bytes": 1 << 30, "process_virtual_memory_max_bytes": 0,
		"process_resident_memory_bytes": 1 << 28, "process_start_time_seconds": 1,
	}
	if len(ours) != len(tolerance) {
		t.Errorf("%d metrics, want %d", len(ours), len(tolerance))
	}
	value := func(f *dto.MetricFamily) float64 {
		m := f.GetMetric()[0]
		return m.GetGauge().GetValue() + m.GetCounter().GetValue()
	}
	for name, off := range tolerance {
		our, their := ours[name], theirs[name]
		if our == nil || their == nil {
			t.Errorf("%s: ours %v, the library's %v", name, our, their)
			continue
		}
		if our.GetHelp() != their.GetHelp() || our.GetType() != their.GetType() {
			t.Errorf("%s: ours %s %q, the library's %s %q", name, our.GetType(), our.GetHelp(), their.GetType(), their.GetHelp())
		}
		if math.Abs(value(our)-value(their)) > off || value(our) == 0 && value(their) != 0 && name != "process_cpu_seconds_total" {
			t.Errorf("%s: ours %v, the library's %v", name, value(our), value(their))
		}
	}
}
