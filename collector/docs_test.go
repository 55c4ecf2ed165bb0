package collector_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgbailiff/pgbailiff/collector"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// ofMain are the metrics that main registers. They are tested there.
var ofMain = []string{
	"pgbailiff_build_info",
	"pgbailiff_config_last_reload_successful",
	"pgbailiff_config_last_reload_success_timestamp_seconds",
}

// TestEveryMetricIsDocumented checks that the tables of README.md have every
// metric with its labels, and no other.
func TestEveryMetricIsDocumented(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	got := documented(string(readme))
	for _, name := range ofMain {
		if _, is := got[name]; !is {
			t.Errorf("README.md does not have %s", name)
		}
		delete(got, name)
	}
	want := described(collector.New(t.Context(), collector.Config{}, nil, log.NewNopLogger()))
	maps.Copy(want, ofTheWebhook(t))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the metrics of README.md (-code +README):\n%s", diff)
	}
}

// TestEveryFamilyIsDocumented checks that README.md has every value of the label
// family, and no other.
func TestEveryFamilyIsDocumented(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `pgbailiff_sessions_over_limit` \\|.*?\\| (.*) \\|$").FindStringSubmatch(string(readme))
	if row == nil {
		t.Fatal("README.md has no row of pgbailiff_sessions_over_limit")
	}
	var want, got []string
	for _, f := range session.Families() {
		want = append(want, f.Name)
	}
	_, values, _ := strings.Cut(row[1], ":")
	for _, name := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(values, -1) {
		got = append(got, name[1])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the families of README.md (-code +README):\n%s", diff)
	}
}

// The README's text above the table gives the labels of the identity to every
// series of a single backend, and the facts to all of them but query_info.
var (
	identityLabels = []string{"server", "pid", "backend_start"}
	factLabels     = []string{"datname", "usename", "application_name", "client_addr"}
)

// documented returns the labels of each metric in the tables.
func documented(readme string) map[string][]string {
	metrics := map[string][]string{}
	row := regexp.MustCompile("(?m)^\\| `(pgbailiff_[a-z_]+)` \\| (.*?) ?\\|")
	single := strings.Index(readme, "Of single backends")
	always := strings.Index(readme, "Always there for every server")
	for _, m := range row.FindAllStringSubmatchIndex(readme, -1) {
		name, cell := readme[m[2]:m[3]], readme[m[4]:m[5]]
		labels := []string{}
		for _, l := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cell, -1) {
			labels = append(labels, l[1])
		}
		if m[0] > single && m[0] < always {
			labels = append(labels, identityLabels...)
			if name != "pgbailiff_query_info" {
				labels = append(labels, factLabels...)
			}
		}
		slices.Sort(labels)
		metrics[name] = labels
	}
	return metrics
}

// described returns the labels of each metric that a collector describes.
func described(c prometheus.Collector) map[string][]string {
	ch := make(chan *prometheus.Desc)
	go func() {
		defer close(ch)
		c.Describe(ch)
	}()
	metrics := map[string][]string{}
	desc := regexp.MustCompile(`fqName: "([^"]*)".*variableLabels: \{([^}]*)\}`)
	for d := range ch {
		m := desc.FindStringSubmatch(d.String())
		labels := strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' })
		slices.Sort(labels)
		metrics[m[1]] = append([]string{}, labels...)
	}
	return metrics
}

// ofTheWebhook returns the labels of each metric of the webhook and the ledger.
func ofTheWebhook(t *testing.T) map[string][]string {
	t.Helper()
	reg := registerer{}
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
	return reg
}

// registerer keeps the labels of each metric that is registered.
type registerer map[string][]string

func (r registerer) Register(c prometheus.Collector) error {
	maps.Copy(r, described(c))
	return nil
}

func (r registerer) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		_ = r.Register(c)
	}
}

func (r registerer) Unregister(prometheus.Collector) bool { return false }
