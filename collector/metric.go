package collector

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

func newDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("pgbailiff_"+name, help, labels, nil)
}

// emitter sends the gauges of one server. It never panics: a metric that
// cannot be is an error of the gathering, and a label is made valid UTF-8,
// whatever the database says.
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

// valid makes a text valid UTF-8.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
