package collector

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// If /proc/stat does not say when the machine started, process_start_time_seconds
// is left out instead of being in 1970.
func TestUnknownStartIsLeftOut(t *testing.T) {
	for text, want := range map[string]float64{
		"cpu  1 2 3\nbtime 1764000000\nprocesses 5\n": 1764000000,
		"btime 7":                   7,
		"":                          0,
		"cpu  1 2 3\nprocesses 5\n": 0,
		"cpu  1\nbtime \n":          0,
	} {
		if got, ok := bootTime(text); got != want || ok != (want > 0) {
			t.Errorf("%q: %v, %t", text, got, ok)
		}
	}
	for started, want := range map[float64]int{0: 0, 7: 1} {
		metrics := make(chan prometheus.Metric, 20)
		p := NewProcess().(*process)
		p.started = started
		p.Collect(metrics)
		close(metrics)
		got := 0
		for m := range metrics {
			if m.Desc() == p.start {
				got++
			}
		}
		if got != want {
			t.Errorf("%d series of a start at %v, want %d", got, started, want)
		}
	}
}
