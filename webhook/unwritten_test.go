package webhook_test

// In this file: lines that cannot be written, and texts that are too long to be.

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// listen returns what the bailiff logs from here on.
func (b *bailiff) listen() *strings.Builder {
	out := &strings.Builder{}
	b.registry = prometheus.NewRegistry()
	b.Handler = webhook.New(log.NewLogfmtLogger(log.NewSyncWriter(out)), b.registry, b.ledger)
	b.Apply(&b.settings)
	return out
}

// What was decided and could not be written down comes again, as long as nothing
// was signalled.
func TestADecisionThatCannotBeWrittenComesAgain(t *testing.T) {
	srv := pgtest.Start(t)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	stays := untouched(t, srv, c.PID())
	alert := identity(t, c, "warning", "query_start")
	b := newBailiff(t, srv, "monsig")
	b.restart(t, "/dev/full")
	for name, tc := range map[string]struct {
		alert   labels
		mode    remediation.Mode
		outcome ledger.Outcome
	}{
		"a refusal by the alert":  {alert.with("pid", "x"), remediation.ModeEnforce, ledger.Refused},
		"a refusal by the policy": {alert.with("severity", "page"), remediation.ModeEnforce, ledger.Refused},
		"gone":                    {alert.with("query_start", "2020-01-01T00:00:00.000000Z"), remediation.ModeEnforce, ledger.Gone},
		"a dry run":               {alert, remediation.ModeDryRun, ledger.DryRun},
	} {
		t.Run(name, func(t *testing.T) {
			b.settings.Remediation.Mode = tc.mode
			out := b.listen()
			code, results := b.post(t, message(time.Now(), tc.alert))
			if code != http.StatusServiceUnavailable || results[0].Outcome != string(tc.outcome) {
				t.Errorf("%d %+v", code, results)
			}
			if n := strings.Count(out.String(), `level=error`); n != 1 || !strings.Contains(out.String(), "no space left on device") {
				t.Errorf("the log says\n%s", out)
			}
		})
	}
	stays()
}

// The ledger fails after the intent.
func TestAnOutcomeThatCannotBeWritten(t *testing.T) {
	srv := pgtest.Start(t)
	for name, tc := range map[string]struct {
		fails   string
		status  int
		outcome ledger.Outcome
	}{
		"of a signal that was sent":      {"after", http.StatusOK, ledger.Cancelled},
		"of a signal that was not to be": {"before", http.StatusServiceUnavailable, ledger.Gone},
	} {
		t.Run(name, func(t *testing.T) {
			c := srv.Run(t, "app", "select pg_sleep(60)")
			var b *bailiff
			b = newBailiff(t, srv, "monsig", stage(&staged{
				ordered: func(int, session.Verb) error {
					if tc.fails == "before" {
						end(t, srv, c)
						return b.ledger.Close()
					}
					return nil
				},
				signalled: func(int, *session.Signalled) { _ = b.ledger.Close() },
			}))
			out := b.listen()
			code, results := b.post(t, message(time.Now(), identity(t, c, "warning", "query_start")))
			if code != tc.status || results[0].Outcome != string(tc.outcome) {
				t.Errorf("%d %+v", code, results)
			}
			if n := strings.Count(out.String(), "level=error"); n != 1 {
				t.Errorf("the log says\n%s", out)
			}
		})
	}
}

// Anybody may send an alert with labels of any length where nothing is enforced.
func TestLongTextsAreNotKept(t *testing.T) {
	const size, messages = 512 << 10, 10
	long := strings.Repeat("a", size)
	out := &strings.Builder{}
	l, err := ledger.Open(ledger.Config{}, log.NewNopLogger(), nil)
	if err != nil {
		t.Fatal(err)
	}
	h := webhook.New(log.NewLogfmtLogger(out), prometheus.NewRegistry(), l)
	h.Apply(&webhook.Settings{
		Remediation: remediation.Config{Mode: remediation.ModeDryRun},
		Policy:      compile(t), Text: func(q string) string { return q },
	})
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range messages {
		label := []string{"alertname", "severity", "server", "pid", "fingerprint"}[i%5]
		alert := labels{"alertname": "Test", "pid": "1", "severity": "warning", "server": "orders"}
		fingerprint := "0"
		if alert[label] = fmt.Sprint(i, long); label == "fingerprint" {
			fingerprint = fmt.Sprint(i, long)
			delete(alert, label)
		}
		body, err := json.Marshal(map[string]any{"version": "4", "alerts": []any{
			map[string]any{"status": "firing", "labels": alert, "fingerprint": fingerprint},
		}})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhook", strings.NewReader(string(body)))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Fatalf("%d %.200s", w.Code, w.Body)
		}
	}
	if kept := int64(heap()) - int64(before); kept > 2*size {
		t.Errorf("%d bytes are kept of %d messages", kept, messages)
	}
	if len(l.Recent(messages)) != messages {
		t.Errorf("the ledger has %d lines", len(l.Recent(messages)))
	}
	for line := range strings.SplitSeq(out.String(), "\n") {
		if len(line) > 4096 {
			t.Errorf("a line of %d bytes in the log: %.100s…", len(line), line)
		}
	}
	runtime.KeepAlive(l)
}
