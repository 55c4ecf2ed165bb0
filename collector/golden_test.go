package collector_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/collector"
	"github.com/pgbailiff/pgbailiff/internal/metricstest"
	"github.com/pgbailiff/pgbailiff/internal/querytext"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

var update = flag.Bool("update", false, "write the golden files")

// TestGolden compares the metrics of each kind of snapshot with a golden file.
// To write the files: go test ./collector -run Golden -update.
func TestGolden(t *testing.T) {
	obfuscated, none, two, all := config(), config(), config(), config()
	obfuscated.QueryText, none.QueryText = querytext.Obfuscated, querytext.None
	two.MaxSessions, all.MinDuration = 2, 0
	noSessions := config()
	noSessions.MaxSessions = 0
	for name, tt := range map[string]struct {
		cfg     collector.Config
		servers []collector.Server
	}{
		"everything":       {config(), []collector.Server{server(everything())}},
		"obfuscated":       {obfuscated, []collector.Server{server(everything())}},
		"no-text":          {none, []collector.Server{server(everything())}},
		"two-sessions":     {two, []collector.Server{server(everything())}},
		"no-sessions":      {noSessions, []collector.Server{server(everything())}},
		"no-min-duration":  {all, []collector.Server{server(everything())}},
		"quiet":            {config(), []collector.Server{server(quiet())}},
		"locks-unknown":    {config(), []collector.Server{server(locksUnknown())}},
		"unprivileged":     {config(), []collector.Server{server(unprivileged())}},
		"down-and-standby": {config(), []collector.Server{fake{name: "down", err: errDown}, server(standby())}},
		"no-servers":       {config(), nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := scrape(t, tt.cfg, tt.servers...)
			file := filepath.Join("testdata", name+".prom")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
			lint(t, registry(t, tt.cfg, tt.servers...).Gather)
		})
	}
}

// Every metric that is described has a sample in a golden file.
func TestEveryMetricIsInAGoldenFile(t *testing.T) {
	files, err := filepath.Glob("testdata/*.prom")
	if err != nil {
		t.Fatal(err)
	}
	var golden strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		golden.Write(text)
	}
	metrics := metricstest.Described(collector.New(t.Context(), config(), nil, nil))
	if len(metrics) == 0 {
		t.Error("no metrics are described")
	}
	for name := range metrics {
		if !strings.Contains(golden.String(), "\n"+name+"{") {
			t.Errorf("no sample of %s in %v", name, files)
		}
	}
}

// Two rows of one backend are a bug, but the scrape still answers.
func TestDuplicatesDoNotBreakAScrape(t *testing.T) {
	want := scrape(t, config(), server(everything()))
	twice := everything()
	twice.Sessions = append(twice.Sessions, everything().Sessions...)
	twice.LockWaits = append(twice.LockWaits, everything().LockWaits...)
	twice.Blockers = append(twice.Blockers, everything().Blockers...)
	twice.Databases = append(twice.Databases, everything().Databases...)
	if diff := cmp.Diff(want, scrape(t, config(), server(twice))); diff != "" {
		t.Errorf("(-once +twice):\n%s", diff)
	}
}

// If a pid was reused while the snapshot was taken, the first session has the
// series.
func TestTwoSessionsWithOnePid(t *testing.T) {
	s := quiet()
	old, young := active(42, 90*time.Second), active(42, 80*time.Second)
	young.BackendStart = old.BackendStart.Add(time.Second)
	s.Sessions = []session.Aged{old, young}
	want := quiet()
	want.Sessions = []session.Aged{old}
	if diff := cmp.Diff(scrape(t, config(), server(want)), scrape(t, config(), server(s))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Names that clients and DBAs choose reach the labels unchanged, apart from bytes
// that are no valid UTF-8.
func TestHostileLabels(t *testing.T) {
	for name, value := range map[string]string{
		"invalid UTF-8":     "\xff\xfe\xc3(",
		"surrogates":        "\xed\xa0\x80",
		"lines":             "a\nb\r\nc",
		"quotes":            `a"b'c\d{e="f"} `,
		"a kilobyte":        strings.Repeat("ü", 512),
		"a NUL byte":        "a\x00b",
		"another direction": "\u202Eabc\u202C",
	} {
		t.Run(name, func(t *testing.T) {
			hostile := active(99, time.Minute)
			hostile.Datname, hostile.Usename, hostile.ApplicationName, hostile.ClientAddr = value, value, value, value
			hostile.WaitEventType, hostile.WaitEvent, hostile.Query = value, value, value
			s := everything()
			s.Sessions = append(s.Sessions, hostile)
			s.Counts = append(s.Counts, session.Count{Datname: value, State: session.State(value), WaitEventType: value, Backends: 1})
			s.Databases = append(s.Databases, value)
			s.Facts.Version, s.Facts.SystemIdentifier = value, value
			s.Facts.Prepared = append(s.Facts.Prepared, session.Prepared{Datname: value, Count: 1})
			text := scrape(t, config(), server(s))
			parser := expfmt.NewTextParser(model.UTF8Validation)
			parsed, err := parser.TextToMetricFamilies(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			want := strings.ToValidUTF8(value, "\uFFFD")
			for metric, labels := range map[string][]string{
				"pgbailiff_query_duration_seconds": {"datname", "usename", "application_name", "client_addr"},
				"pgbailiff_query_info":             {"wait_event_type", "wait_event"},
				"pgbailiff_backends":               {"datname", "state"},
				"pgbailiff_waiting_backends":       {"datname", "wait_event_type"},
				"pgbailiff_prepared_transactions":  {"datname"},
				"pgbailiff_server_info":            {"version", "system_identifier"},
			} {
				for _, label := range labels {
					if !slices.Contains(labelValues(parsed[metric], label), want) {
						t.Errorf("no %s{%s=%.60q}", metric, label, want)
					}
				}
			}
		})
	}
}

// Names that differ only in invalid bytes become the same label value. Their
// values are added up in one series.
func TestNamesThatBecomeTheSame(t *testing.T) {
	s := quiet()
	for i, name := range []string{"a\xff", "a\xfe"} {
		s.Databases = append(s.Databases, name)
		s.Counts = append(s.Counts, session.Count{Datname: name, State: session.StateActive, WaitEventType: "IO", Backends: 2})
		s.Facts.Prepared = append(s.Facts.Prepared, session.Prepared{Datname: name, Count: 3, Oldest: float64(5 - i)})
	}
	text := scrape(t, config(), server(s))
	for _, want := range []string{
		"pgbailiff_backends{datname=\"a\uFFFD\",server=\"orders\",state=\"active\"} 4\n",
		"pgbailiff_waiting_backends{datname=\"a\uFFFD\",server=\"orders\",wait_event_type=\"IO\"} 4\n",
		"pgbailiff_prepared_transactions{datname=\"a\uFFFD\",server=\"orders\"} 6\n",
		"pgbailiff_oldest_prepared_transaction_age_seconds{datname=\"a\uFFFD\",server=\"orders\"} 5\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
}

// The configuration decides what is read from the server.
func TestSnapshotOptionsFollowTheConfiguration(t *testing.T) {
	for choice, text := range map[querytext.Text]bool{
		querytext.None: false, querytext.Obfuscated: true, querytext.Full: true,
	} {
		cfg := collector.Config{MinDuration: 1500 * model.Millisecond, MaxSessions: 7, QueryText: choice, QueryTextLength: 256}
		var got session.SnapshotOptions
		scrape(t, cfg, function(func(_ context.Context, opts session.SnapshotOptions) (session.Snapshot, error) {
			got = opts
			return quiet(), nil
		}))
		if want := (session.SnapshotOptions{MinAge: 1.5, MaxSessions: 7, Text: text}); got != want {
			t.Errorf("%s: %+v, want %+v", choice, got, want)
		}
	}
}

// lint checks metrics against Prometheus's own rules.
func lint(t *testing.T, gather func() ([]*dto.MetricFamily, error)) {
	t.Helper()
	families, err := gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// labelValues returns the values of a label in a metric.
func labelValues(family *dto.MetricFamily, label string) []string {
	var all []string
	for _, m := range family.GetMetric() {
		for _, pair := range m.GetLabel() {
			if pair.GetName() == label {
				all = append(all, pair.GetValue())
			}
		}
	}
	return all
}
