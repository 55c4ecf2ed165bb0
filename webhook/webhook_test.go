package webhook_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"go.uber.org/goleak"

	"github.com/pgbailiff/pgbailiff/internal/auth"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
	"github.com/pgbailiff/pgbailiff/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.HandOn(m)) }

// testHandler is a handler on real servers, enforcing, with a token and with a ledger
// in a file.
type testHandler struct {
	http.Handler
	ledger   *ledger.Ledger
	settings remediation.Settings
	auth     auth.Authenticator
	logger   log.Logger
}

// option changes what the handler is made of.
type option func(*testHandler)

func newTestHandler(t testing.TB, srv *pgtest.Server, opts ...option) *testHandler {
	t.Helper()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &testHandler{auth: auth.Authenticator{CredentialsFile: token}, logger: log.NewLogfmtLogger(t.Output())}
	b.settings = remediation.Settings{
		Config: remediation.Config{
			Mode: remediation.ModeEnforce, Grace: model.Minute, VerifyTimeout: model.Minute,
			Limits: ledger.Limits{Actions: 1 << 30, Window: model.Minute, SuspendAfter: 1 << 30, SuspendWindow: model.Minute},
		},
		Policy:  compile(t),
		Servers: map[string]remediation.Server{"orders": newServer(t, srv, "orders")},
		Text:    func(q string) string { return q },
		ModeNow: func() remediation.Mode { return remediation.ModeEnforce },
	}
	var err error
	b.ledger, err = ledger.Open(ledger.Config{File: filepath.Join(t.TempDir(), "ledger.jsonl")}, log.NewNopLogger(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.ledger.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, o := range opts {
		o(b)
	}
	b.Handler = newHandler(b.settings, b.auth, b.ledger, prometheus.NewRegistry(), b.logger)
	return b
}

// newHandler is the handler with everything behind it, and the pattern before it.
func newHandler(s remediation.Settings, a auth.Authenticator, l *ledger.Ledger, reg *prometheus.Registry, logger log.Logger) http.Handler {
	shared := remediation.NewShared(logger, l, reg)
	shared.Serve(s)
	metrics, mux := webhook.NewMetrics(reg), http.NewServeMux()
	mux.Handle("POST /webhook", webhook.New(remediation.New(s, shared), a, metrics, logger))
	return metrics.CountRequests(mux)
}

// newServer connects to the server under this name.
func newServer(t testing.TB, srv *pgtest.Server, name string) *postgres.Server {
	t.Helper()
	s, err := postgres.New(postgres.Config{Name: name, DSN: srv.DSN("monsig")}, postgres.NewDials(16), log.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func compile(t testing.TB, rules ...policy.RuleConfig) *policy.Policy {
	t.Helper()
	p, err := policy.New(policy.Config{
		SeverityLabel: "severity",
		Severities:    map[string]policy.Action{"warning": policy.Cancel, "critical": policy.Terminate},
		Rules:         rules,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// quiet discards the log, which would be long.
func quiet(b *testHandler) { b.logger = log.NewNopLogger() }

// labels are an alert's labels.
type labels map[string]string

func (l labels) with(label, value string) labels {
	out := maps.Clone(l)
	out[label] = value
	return out
}

// identity are the labels of the series of the session's query.
func identity(t testing.TB, c *pgtest.Client, severity string) labels {
	t.Helper()
	a := c.Activity(t)
	return labels{
		"alertname": "Test", "severity": severity, "server": "orders", "pid": strconv.Itoa(c.PID()),
		"backend_start": session.FormatTime(a.BackendStart), "query_start": session.FormatTime(a.QueryStart),
	}
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

// newRequest is a POST of the body with the token.
func newRequest(t testing.TB, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhook", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer secret")
	r.Header.Set("Content-Type", "application/json")
	return r
}

// post sends a message and returns the status and the results.
func (b *testHandler) post(t testing.TB, body string) (int, []webhook.Result) {
	t.Helper()
	w := httptest.NewRecorder()
	b.ServeHTTP(w, newRequest(t, body))
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
