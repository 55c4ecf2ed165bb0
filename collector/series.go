package collector

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// series are the series of one scrape, all of them gauges, as the client library's
// registry would have them. A registry for each request would take most of the
// memory and of the processor time of a scrape.
//
// Several servers may be added at the same time: whoever adds holds mu.
type series struct {
	mu       sync.Mutex // guards the rest
	families []dto.MetricFamily
	samples  slab[sample]
	labels   slab[labelPair]
}

// sample is one series and its value.
type sample struct {
	metric dto.Metric
	gauge  dto.Gauge
	value  float64
}

// labelPair is a label of one series, and its value.
type labelPair struct {
	pair dto.LabelPair
	text string
}

func newSeries(metrics []*metric) *series {
	s := &series{families: make([]dto.MetricFamily, len(metrics))}
	for _, m := range metrics {
		f := &s.families[m.place]
		f.Name, f.Help, f.Type = &m.name, &m.help, dto.MetricType_GAUGE.Enum()
	}
	return s
}

// gauge adds one series. The values of the labels are in the order in which
// newMetric got their names. They are made valid UTF-8.
func (s *series) gauge(m *metric, value float64, labels ...string) {
	x := s.samples.next()
	x.value = value
	x.gauge.Value, x.metric.Gauge = &x.value, &x.gauge
	x.metric.Label = x.metric.Label[:0] // of an earlier scrape
	for i := range m.labels {
		to, of := s.labels.next(), &m.labels[i]
		to.text = valid(labels[of.place])
		to.pair.Name, to.pair.Value = &of.name, &to.text
		x.metric.Label = append(x.metric.Label, &to.pair)
	}
	f := &s.families[m.place]
	f.Metric = append(f.Metric, &x.metric)
}

// gather returns the families that have a series, in the order of the client
// library. It is an error if a series is there twice; all but one are left out
// then. The result is good until the next call of reset.
func (s *series) gather() (found []*dto.MetricFamily, err error) {
	for i := range s.families {
		f := &s.families[i]
		if len(f.Metric) == 0 {
			continue
		}
		slices.SortFunc(f.Metric, compareLabels)
		all := len(f.Metric)
		f.Metric = slices.CompactFunc(f.Metric, func(a, b *dto.Metric) bool { return compareLabels(a, b) == 0 })
		if twice := all - len(f.Metric); twice > 0 {
			err = errors.Join(err, fmt.Errorf("%d series of %s have the labels of another one", twice, f.GetName()))
		}
		found = append(found, f)
	}
	return found, err
}

// compareLabels compares two series of one metric, which have the same labels.
func compareLabels(a, b *dto.Metric) int {
	for i, l := range a.Label {
		if order := cmp.Compare(*l.Value, *b.Label[i].Value); order != 0 {
			return order
		}
	}
	return 0
}

// reset removes all series.
func (s *series) reset() {
	for i := range s.families {
		s.families[i].Metric = s.families[i].Metric[:0]
	}
	s.samples.used, s.labels.used = 0, 0
}

// mostKept is how many series the memory may have that is kept for the next scrape.
const mostKept = 4096

// keptSeries keeps the memory of one scrape for the next one.
type keptSeries struct{ kept chan *series }

func newKeptSeries() keptSeries { return keptSeries{make(chan *series, 1)} }

func (k keptSeries) get(metrics []*metric) *series {
	select {
	case s := <-k.kept:
		s.reset()
		return s
	default:
		return newSeries(metrics)
	}
}

func (k keptSeries) put(s *series) {
	if s.samples.used > mostKept {
		return
	}
	select {
	case k.kept <- s:
	default:
	}
}

// slab hands out values that stay where they are. With used set to 0 it hands out
// the same ones again.
type slab[T any] struct {
	chunks [][]T
	used   int
}

const slabChunk = 128

func (s *slab[T]) next() *T {
	chunk, i := s.used/slabChunk, s.used%slabChunk
	if chunk == len(s.chunks) {
		s.chunks = append(s.chunks, make([]T, slabChunk))
	}
	s.used++
	return &s.chunks[chunk][i]
}

// collected is a series for a registry of the client library.
type collected struct {
	desc   *prometheus.Desc
	series *dto.Metric
}

// Desc implements prometheus.Metric.
func (c collected) Desc() *prometheus.Desc { return c.desc }

// Write implements prometheus.Metric.
func (c collected) Write(to *dto.Metric) error {
	to.Label, to.Gauge = c.series.Label, c.series.Gauge
	return nil
}
