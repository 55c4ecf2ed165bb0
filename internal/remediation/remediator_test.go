package remediation_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
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
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.HandOn(m)) }

// testRemediator is a Remediator on a real server, enforcing, with a ledger in a file.
type testRemediator struct {
	logger   log.Logger
	ledger   *ledger.Ledger
	over     remediation.Ledger // what is put over the ledger; nil: nothing
	registry *prometheus.Registry
	settings remediation.Settings // of the next apply

	shared     *remediation.Shared
	mode       atomic.Value // remediation.Mode, of the generation in force
	remediator *remediation.Remediator
}

// option changes the settings before they are applied.
type option func(*remediation.Settings)

func newTestRemediator(t testing.TB, srv *pgtest.Server, role string, opts ...option) *testRemediator {
	t.Helper()
	b := &testRemediator{logger: log.NewLogfmtLogger(t.Output())}
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
	b.settings = remediation.Settings{
		Config: remediation.Config{
			Mode: remediation.ModeEnforce, Grace: model.Minute, VerifyTimeout: model.Minute, ApprovalTimeout: model.Hour,
			Limits: ledger.Limits{Actions: 1000, Window: model.Minute, SuspendAfter: 10000, SuspendWindow: model.Minute},
		},
		Policy:  compile(t),
		Servers: map[string]remediation.Server{"orders": newServer(t, srv, "orders", role)},
		Text:    func(q string) string { return q },
	}
	for _, o := range opts {
		o(&b.settings)
	}
	b.start()
	return b
}

// newServer connects to the server with a role, and under a name of ours.
func newServer(t testing.TB, srv *pgtest.Server, name, role string) *postgres.Server {
	t.Helper()
	s, err := postgres.New(postgres.Config{Name: name, DSN: srv.DSN(role)}, postgres.NewDials(16), log.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// start begins anew, with metrics at zero.
func (b *testRemediator) start() {
	b.registry = prometheus.NewRegistry()
	seen := b.over
	if seen == nil {
		seen = b.ledger
	}
	b.shared = remediation.NewShared(b.logger, seen, b.registry)
	b.apply(b.settings)
}

// apply makes the settings the ones in force, as a reload does.
func (b *testRemediator) apply(settings remediation.Settings) {
	settings.ModeNow = func() remediation.Mode { return b.mode.Load().(remediation.Mode) }
	b.mode.Store(settings.Config.Mode)
	b.shared.Serve(settings)
	b.remediator = remediation.New(settings, b.shared)
}

// remediate carries out the requests of alerts that came together, and returns
// their results.
func (b *testRemediator) remediate(t testing.TB, startsAt time.Time, alerts ...labels) []remediation.Result {
	t.Helper()
	now, remediator := time.Now(), b.remediator
	results := make([]remediation.Result, len(alerts))
	var all sync.WaitGroup
	for i, l := range alerts {
		all.Go(func() { results[i] = remediator.Remediate(t.Context(), request(l, i, startsAt, now)) })
	}
	all.Wait()
	return results
}

// request is the one that an alert with these labels makes.
func request(l labels, n int, startsAt, received time.Time) remediation.Request {
	fence, err := session.ParseFence(l)
	fence.Server = l["server"]
	return remediation.Request{
		Source: remediation.SourceAlert, Labels: l, Alertname: l["alertname"], Fingerprint: fmt.Sprintf("%016x", n),
		Fence: fence, Invalid: err, Since: startsAt, Received: received,
	}
}

// alert carries out the request of one alert. Its decision must be final.
func (b *testRemediator) alert(t testing.TB, l labels) remediation.Result {
	t.Helper()
	result := b.remediate(t, time.Now(), l)[0]
	if result.Retry {
		t.Fatalf("a repeat can help: %+v", result)
	}
	return result
}

// recorded carries out the requests of alerts and returns the results and the
// lines that they added to the ledger, oldest first. The decisions must be final.
func (b *testRemediator) recorded(t testing.TB, startsAt time.Time, alerts ...labels) ([]remediation.Result, []ledger.Entry) {
	t.Helper()
	before := len(b.ledger.Recent(1000))
	results := b.remediate(t, startsAt, alerts...)
	for _, r := range results {
		if r.Retry {
			t.Fatalf("a repeat can help: %+v", results)
		}
	}
	lines := b.ledger.Recent(len(b.ledger.Recent(1000)) - before)
	for i, j := 0, len(lines)-1; i < j; i, j = i+1, j-1 {
		lines[i], lines[j] = lines[j], lines[i]
	}
	return results, lines
}

func rules(t testing.TB, rc ...policy.RuleConfig) option {
	return func(s *remediation.Settings) { s.Policy = compile(t, rc...) }
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

// shortVerify does not wait long for an effect: for sessions that are known to
// ignore the signal. All others may take as long as a busy machine lets them.
func shortVerify(s *remediation.Settings) {
	s.Config.Grace, s.Config.VerifyTimeout = 300*model.Millisecond, 300*model.Millisecond
}

// shortGrace waits only so long for the effect of a cancel before a terminate.
func shortGrace(d model.Duration) option {
	return func(s *remediation.Settings) { s.Config.Grace = d }
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

// identity are the labels of a series about what the session does.
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
