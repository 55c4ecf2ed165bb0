package collector

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

func newDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("pgbailiff_"+name, help, labels, nil)
}

// emitter sends the gauges of one server. It never panics: an invalid metric
// becomes an error of Gather, and label values are made valid UTF-8.
type emitter struct{ ch chan<- prometheus.Metric }

func (e emitter) gauge(d *prometheus.Desc, value float64, labels ...string) {
	for i, label := range labels {
		labels[i] = valid(label)
	}
	m, err := prometheus.NewConstMetric(d, prometheus.GaugeValue, value, labels...)
	if err != nil {
		m = prometheus.NewInvalidMetric(d, err)
	}
	e.ch <- m
}

// valid replaces the bytes of a text that are no valid UTF-8.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
