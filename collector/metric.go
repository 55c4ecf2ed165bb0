package collector

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// desc is a metric, with its labels in the order in which they are written.
type desc struct {
	*prometheus.Desc
	names []string // by name
	order []int    // which argument of emitter.gauge belongs to each name
}

func newDesc(name, help string, labels ...string) *desc {
	d := &desc{
		Desc:  prometheus.NewDesc("pgbailiff_"+name, help, labels, nil),
		names: slices.Sorted(slices.Values(labels)),
	}
	for _, name := range d.names {
		d.order = append(d.order, slices.Index(labels, name))
	}
	return d
}

// emitter sends the gauges of one server. It never panics: a metric that
// cannot be is an error of the gathering, and a label is made valid UTF-8,
// whatever the database says.
//
// A constant metric of the client library costs three allocations for each of
// its labels. These are cut from slabs.
type emitter struct {
	ch     chan<- prometheus.Metric
	gauges []gauge
	labels []label
	pairs  []*dto.LabelPair
}

// gauge is one series.
type gauge struct {
	desc   *desc
	value  float64
	out    dto.Gauge
	labels []*dto.LabelPair
}

// label holds what the pair points to.
type label struct {
	value string
	pair  dto.LabelPair
}

func (e *emitter) gauge(d *desc, value float64, labels ...string) {
	if len(labels) != len(d.names) {
		e.ch <- prometheus.NewInvalidMetric(d.Desc, fmt.Errorf("%d labels, want %d", len(labels), len(d.names)))
		return
	}
	g := &take(&e.gauges, 1)[0]
	g.desc, g.value, g.labels = d, value, take(&e.pairs, len(labels))
	g.out.Value = &g.value
	own := take(&e.labels, len(labels))
	for i, from := range d.order {
		own[i].value = valid(labels[from])
		own[i].pair.Name, own[i].pair.Value = &d.names[i], &own[i].value
		g.labels[i] = &own[i].pair
	}
	e.ch <- g
}

// take cuts elements off a slab, and makes a new one when it is used up.
func take[T any](slab *[]T, n int) []T {
	if len(*slab) < n {
		*slab = make([]T, max(n, 128))
	}
	taken := (*slab)[:n:n]
	*slab = (*slab)[n:]
	return taken
}

// Desc implements prometheus.Metric.
func (g *gauge) Desc() *prometheus.Desc { return g.desc.Desc }

// Write implements prometheus.Metric.
func (g *gauge) Write(out *dto.Metric) error {
	out.Gauge, out.Label = &g.out, g.labels
	return nil
}

// valid makes a text valid UTF-8.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
