// Package metricstest is the catalogue of pgbailiff's metrics, for tests of
// what is written about them: documents, rules, dashboards. It asks the
// collectors, which describe what they may ever expose, so that nobody keeps a
// list. It also reads the value of a series (Value).
package metricstest

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgbailiff/pgbailiff/collector"
	"github.com/pgbailiff/pgbailiff/internal/app"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// Metric is what is known of one before it has a series.
type Metric struct {
	Labels    []string // sorted; never nil
	Histogram bool     // it has _bucket (with le), _sum and _count
}

// Catalogue returns every metric of pgbailiff's own, and those of its process,
// by name. Those of the Go runtime are left out.
func Catalogue(t testing.TB) map[string]Metric {
	t.Helper()
	reg := registerer{}
	reg.MustRegister(collector.New(t.Context(), collector.Config{}, nil, log.NewNopLogger()))
	app.NewMetrics(reg)
	l, err := ledger.Open(ledger.Config{}, log.NewNopLogger(), reg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	remediation.NewShared(log.NewNopLogger(), l, reg)
	webhook.NewMetrics(reg)
	maps.DeleteFunc(reg, func(name string, _ Metric) bool { return strings.HasPrefix(name, "go_") })
	return reg
}

// Histograms returns the names of those that are histograms, sorted.
func Histograms(catalogue map[string]Metric) []string {
	var names []string
	for name, m := range catalogue {
		if m.Histogram {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// registerer keeps what the collectors that are registered with it describe.
type registerer map[string]Metric

// Register implements [prometheus.Registerer].
func (r registerer) Register(c prometheus.Collector) error {
	maps.Copy(r, Described(c))
	return nil
}

// MustRegister implements [prometheus.Registerer].
func (r registerer) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		_ = r.Register(c)
	}
}

// Unregister implements [prometheus.Registerer].
func (r registerer) Unregister(prometheus.Collector) bool { return false }

// Described returns the metrics that a collector describes.
func Described(c prometheus.Collector) map[string]Metric {
	ch := make(chan *prometheus.Desc)
	go func() {
		defer close(ch)
		c.Describe(ch)
	}()
	_, histogram := c.(prometheus.Observer)
	if _, vector := c.(prometheus.ObserverVec); vector {
		histogram = true
	}
	metrics := map[string]Metric{}
	// A Desc tells its name and labels in no other way.
	desc := regexp.MustCompile(`^Desc\{fqName: "([^"]*)", .*constLabels: \{(.*)\}, variableLabels: \{([^}]*)\}\}$`)
	constLabel := regexp.MustCompile(`(\w+)="(?:[^"\\]|\\.)*"`)
	for d := range ch {
		m := desc.FindStringSubmatch(d.String())
		labels := append([]string{}, strings.FieldsFunc(m[3], func(r rune) bool { return r == ',' })...)
		for _, constant := range constLabel.FindAllStringSubmatch(m[2], -1) {
			labels = append(labels, constant[1])
		}
		slices.Sort(labels)
		metrics[m[1]] = Metric{labels, histogram}
	}
	return metrics
}
