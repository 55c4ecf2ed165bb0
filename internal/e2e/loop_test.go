package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

const loopToken = "token-of-the-loop"

// loopRules have the form of alerts/pgbailiff.rules.yml, with thresholds that a
// test can wait for. Each is about the sessions of some applications only.
const loopRules = `
groups:
  - name: loop
    rules:
      - alert: LongQuery
        expr: pgbailiff_query_duration_seconds{application_name=~"report.*"} > 1
        labels:
          severity: warning
          remediation: auto
        annotations:
          summary: A query has been running too long.
      - alert: VeryLongQuery
        expr: pgbailiff_query_duration_seconds{application_name="runaway"} > 1
        labels:
          severity: critical
          remediation: auto
        annotations:
          summary: A query has been running far too long.
      - alert: OnlyNotified
        expr: pgbailiff_query_duration_seconds{application_name="batch"} > 1
        labels:
          severity: critical
        annotations:
          summary: A query that only people are told about.
`

// TestLoop closes the loop with the real Prometheus and the real Alertmanager:
// a warning cancels exactly the query that it is about, a critical alert ends
// exactly the session, a silence protects for as long as it lasts, and an alert
// that does not opt in has no effect.
func TestLoop(t *testing.T) {
	t.Parallel()
	l := &loop{t: t, dir: t.TempDir(), orders: pgtest.Start(t)}
	l.servePgbailiff()
	l.startAlertmanager()

	// The silence is there before its alert fires.
	kept := l.orders.Run(t, "app", "select pg_sleep(601)", pgtest.AppName("report-kept"))
	silence := l.silence(kept)
	slow := l.orders.Run(t, "app", "select pg_sleep(602)", pgtest.AppName("report"))
	runaway := l.orders.Run(t, "app", "select pg_sleep(603)", pgtest.AppName("runaway"))
	watched := l.orders.Run(t, "app", "select pg_sleep(604)", pgtest.AppName("batch"))
	other := l.orders.Run(t, "app", "select pg_sleep(605)", pgtest.AppName("shop"))
	idle := l.orders.IdleInTransaction(t, "app")
	l.startPrometheus()

	// The sessions send nothing more until the outcome is there: a next statement
	// may make the effect of the signal hard to tell.
	if code := l.ending(slow); code != "57014" {
		t.Errorf("the slow query has ended with %s, want 57014", code)
	}
	l.expectLedger(slow, "intent cancel", "outcome cancel cancelled")
	if !slow.Alive(t) {
		t.Error("the session of the slow query has ended")
	}
	if code := l.ending(runaway); code != "57P01" {
		t.Errorf("the runaway has ended with %s, want 57P01", code)
	}
	l.expectLedger(runaway, "intent terminate", "outcome terminate terminated")

	// Both the silenced alert and the one that does not opt in are firing.
	l.awaitAlert(kept, "suppressed")
	l.awaitAlert(watched, "active")
	for _, unharmed := range []*pgtest.Client{kept, watched, other} {
		if !unharmed.Running() {
			t.Errorf("%s was hit: %v", unharmed, unharmed.Wait(t))
		}
	}
	if !idle.Alive(t) {
		t.Error("the idle session was hit")
	}
	l.expectLedger(kept)
	l.expectLedger(watched)
	l.expectLedger(other)

	// Only the silence has protected the query.
	l.expire(silence)
	if code := l.ending(kept); code != "57014" {
		t.Errorf("after the silence the query has ended with %s, want 57014", code)
	}
	// PostgreSQL also logs what pgbailiff cancels of its own, under another user.
	if n := strings.Count(l.appsLog(), "canceling statement due to user request"); n != 2 {
		t.Errorf("PostgreSQL has cancelled %d statements, want 2", n)
	}
	if n := strings.Count(l.appsLog(), "terminating connection due to administrator command"); n != 1 {
		t.Errorf("PostgreSQL has ended %d sessions, want 1", n)
	}
	for _, unharmed := range []*pgtest.Client{watched, other} {
		if !unharmed.Running() {
			t.Errorf("%s was hit: %v", unharmed, unharmed.Wait(t))
		}
	}
}

// loop is the four programs of the loop.
type loop struct {
	t                        testing.TB
	dir                      string
	orders                   *pgtest.Server
	bailiffURL, alertmanager string
}

func (l *loop) servePgbailiff() {
	l.t.Helper()
	write(l.t, l.dir, "token", loopToken+"\n")
	l.bailiffURL = serve(l.t, l.dir, fmt.Sprintf(`
servers:
  - name: orders
    dsn: %s
collector:
  min_duration: 0s
webhook:
  credentials_file: token
remediation:
  mode: enforce
  ledger:
    file: ledger.jsonl
`, l.orders.DSN("monsig")))
}

func (l *loop) startAlertmanager() {
	l.t.Helper()
	write(l.t, l.dir, "alertmanager.yml", fmt.Sprintf(`
route:
  receiver: people
  routes:
    - receiver: pgbailiff
      matchers: ['remediation="auto"']
      group_by: ['...']
      group_wait: 0s
      group_interval: 1s
      repeat_interval: 1m
receivers:
  - name: people
  - name: pgbailiff
    webhook_configs:
      - url: %s/webhook
        send_resolved: false
        max_alerts: 0
        http_config:
          authorization:
            credentials_file: token
`, l.bailiffURL))
	l.alertmanager = proctest.Alertmanager(l.t, l.dir).URL
}

func (l *loop) startPrometheus() {
	l.t.Helper()
	write(l.t, l.dir, "rules.yml", loopRules)
	write(l.t, l.dir, "prometheus.yml", fmt.Sprintf(`
global:
  scrape_interval: 500ms
  scrape_timeout: 500ms
  evaluation_interval: 500ms
rule_files: [rules.yml]
alerting:
  alertmanagers:
    - static_configs:
        - targets: [%q]
scrape_configs:
  - job_name: pgbailiff
    static_configs:
      - targets: [%q]
`, strings.TrimPrefix(l.alertmanager, "http://"), strings.TrimPrefix(l.bailiffURL, "http://")))
	proctest.Prometheus(l.t, l.dir)
}
