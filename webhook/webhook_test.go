package webhook_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"go.uber.org/goleak"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
	"github.com/pgbailiff/pgbailiff/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bailiff is a handler on a real server, enforcing, with a ledger in a file.
type bailiff struct {
	*webhook.Handler
	srv      *pgtest.Server
	ledger   *ledger.Ledger
	registry *prometheus.Registry
	settings webhook.Settings
}

// option changes the settings before they are applied.
type option func(*webhook.Settings)

func rules(t testing.TB, rc ...policy.RuleConfig) option {
	return func(s *webhook.Settings) { s.Policy = compile(t, rc...) }
}

// hurried gives up soon on a signal: for sessions that are known to ignore it.
// All others may take as long as a busy machine lets them.
func hurried(s *webhook.Settings) {
	s.Remediation.Grace, s.Remediation.VerifyTimeout = 300*model.Millisecond, 300*model.Millisecond
}

func compile(t testing.TB, rc ...policy.RuleConfig) *policy.Policy {
	t.Helper()
	p, err := policy.New(policy.Config{
		SeverityLabel: "severity",
		Severities:    map[string]policy.Action{"warning": policy.Cancel, "critical": policy.Terminate},
		Rules:         rc,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newBailiff(t testing.TB, srv *pgtest.Server, role string, opts ...option) *bailiff {
	t.Helper()
	s, err := postgres.New(postgres.Config{Name: "orders", DSN: srv.DSN(role)}, postgres.NewDials(16), log.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Close)
	b := &bailiff{srv: srv, registry: prometheus.NewRegistry()}
	b.ledger, err = ledger.Open(ledger.Config{File: filepath.Join(t.TempDir(), "ledger.jsonl")}, log.NewNopLogger(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.ledger.Close(); err != nil {
			t.Error(err)
		}
	})
	b.settings = webhook.Settings{
		Remediation: remediation.Config{
			Mode: remediation.ModeEnforce, Grace: model.Minute, VerifyTimeout: model.Minute,
			Limits: ledger.Limits{Actions: 1000, Window: model.Minute, SuspendAfter: 10000, SuspendWindow: model.Minute},
		},
		Config:  webhook.Config{CredentialsFile: writeFile(t, "secret\n")},
		Policy:  compile(t),
		Servers: map[string]webhook.Server{"orders": s},
		Text:    func(q string) string { return q },
	}
	for _, o := range opts {
		o(&b.settings)
	}
	b.Handler = webhook.New(log.NewLogfmtLogger(testLog{t}), b.registry, b.ledger)
	b.Apply(&b.settings)
	return b
}

// testLog shows the log of a test that fails.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// labels are an alert's labels.
type labels map[string]string

func (l labels) with(more ...string) labels {
	out := maps.Clone(l)
	for i := 0; i < len(more); i += 2 {
		if more[i+1] == "" {
			delete(out, more[i])
			continue
		}
		out[more[i]] = more[i+1]
	}
	return out
}

// identity are the labels that the series of the session's query has.
func identity(t testing.TB, c *pgtest.Client, severity, period string) labels {
	t.Helper()
	a := c.Activity(t)
	l := labels{
		"alertname": "Test", "severity": severity, "server": "orders",
		"pid": strconv.Itoa(c.PID()), "backend_start": session.FormatTime(a.BackendStart),
	}
	switch period {
	case "query_start":
		l[period] = session.FormatTime(a.QueryStart)
	case "xact_start":
		l[period] = session.FormatTime(a.XactStart)
	case "state_change":
		l[period] = session.FormatTime(a.StateChange)
	}
	return l
}

// message is a webhook message with one firing alert for each set of labels.
func message(startsAt time.Time, alerts ...labels) string {
	type alert struct {
		Status      string    `json:"status"`
		Labels      labels    `json:"labels"`
		StartsAt    time.Time `json:"startsAt"`
		Fingerprint string    `json:"fingerprint"`
	}
	var all []alert
	for i, l := range alerts {
		all = append(all, alert{"firing", l, startsAt, fmt.Sprintf("%016x", i)})
	}
	text, _ := json.Marshal(map[string]any{"version": "4", "status": "firing", "alerts": all})
	return string(text)
}

// post sends a message with the token and returns the status and the results.
func (b *bailiff) post(t testing.TB, body string) (int, []webhook.Result) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhook", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer secret")
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	var got struct {
		Results []webhook.Result `json:"results"`
	}
	if w.Code == http.StatusOK || w.Code == http.StatusServiceUnavailable {
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatalf("%d %s: %v", w.Code, w.Body, err)
		}
	}
	return w.Code, got.Results
}

// alert sends one alert and returns its result; the answer must be 200.
func (b *bailiff) alert(t testing.TB, l labels) webhook.Result {
	t.Helper()
	code, results := b.post(t, message(time.Now(), l))
	if code != http.StatusOK || len(results) != 1 {
		t.Fatalf("status %d, results %+v", code, results)
	}
	return results[0]
}

func writeFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, text)
	return path
}
