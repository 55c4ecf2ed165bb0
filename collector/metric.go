package collector

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
)

// metric is what the series of one metric have in common.
type metric struct {
	desc       *prometheus.Desc
	name, help string
	labels     []label // in the order of their names, as in the answer
	place      int     // among all metrics, in the order of their names
}

// label is one label of a metric, and its place in the order in which newMetric
// and series.gauge take the labels.
type label struct {
	name  string
	place int
}

func newMetric(name, help string, labels ...string) *metric {
	name = "pgbailiff_" + name
	m := &metric{name: name, help: help, desc: prometheus.NewDesc(name, help, labels, nil)}
	for i, l := range labels {
		m.labels = append(m.labels, label{l, i})
	}
	slices.SortFunc(m.labels, func(a, b label) int { return cmp.Compare(a.name, b.name) })
	return m
}

// valid replaces the bytes of a text that are no valid UTF-8.
func valid(text string) string {
	if utf8.ValidString(text) { // faster than ToValidUTF8
		return text
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
