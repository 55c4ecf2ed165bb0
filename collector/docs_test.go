package collector_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/metricstest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// TestEveryMetricIsDocumented checks that the tables of docs/metrics.md have every
// metric with its labels, and no other.
func TestEveryMetricIsDocumented(t *testing.T) {
	document, err := os.ReadFile(filepath.Join("..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	got := documented(string(document))
	want := map[string][]string{}
	for name, metric := range metricstest.Catalogue(t) {
		if strings.HasPrefix(name, "pgbailiff_") {
			want[name] = metric.Labels
		}
	}
	want["pgbailiff_build_info"] = []string{"version"} // its other labels are left out on purpose
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the metrics of docs/metrics.md (-code +document):\n%s", diff)
	}
}

// TestEveryFamilyIsDocumented checks that docs/metrics.md has every value of the label
// family, and no other.
func TestEveryFamilyIsDocumented(t *testing.T) {
	document, err := os.ReadFile(filepath.Join("..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `pgbailiff_sessions_over_limit` \\|.*?\\| (.*) \\|$").FindStringSubmatch(string(document))
	if row == nil {
		t.Fatal("docs/metrics.md has no row of pgbailiff_sessions_over_limit")
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
		t.Errorf("the families of docs/metrics.md (-code +document):\n%s", diff)
	}
}

// The document's text above the table gives the labels of the identity to every
// series of a single backend, and the facts to all of them but query_info.
var (
	identityLabels = []string{"server", "pid", "backend_start"}
	factLabels     = []string{"datname", "usename", "application_name", "client_addr"}
)

// documented returns the labels of each metric in the tables.
func documented(text string) map[string][]string {
	metrics := map[string][]string{}
	row := regexp.MustCompile("(?m)^\\| `(pgbailiff_[a-z_]+)` \\| (.*?) ?\\|")
	single := strings.Index(text, "\n## Of single backends")
	always := strings.Index(text, "\n## Of every server")
	for _, m := range row.FindAllStringSubmatchIndex(text, -1) {
		name, cell := text[m[2]:m[3]], text[m[4]:m[5]]
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
