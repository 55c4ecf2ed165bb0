//go:build heavy

package dashboards_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

const token = "token-of-the-live-stack"

// stack is the whole loop: two PostgreSQL servers, a pgbailiff that enforces,
// one in dry run and one whose ledger cannot be written, Alertmanager and
// Prometheus, with the configurations that we ship and shorter times.
type stack struct {
	dir             string
	connections     *http.Transport
	began           time.Time
	orders, billing *pgtest.Server
	enforcingURL    string
	dryRunURL       string
	fullDiskURL     string
	alertmanager    *proctest.Server
	prometheus      *proctest.Server
	targets         string           // of Prometheus, as YAML
	thresholds      string           // the file
	crowd           []*pgtest.Client // the sessions that fill billing

	mu       sync.Mutex
	notified map[string]int // notifications of people, by receiver
}

func startStack(t *testing.T) *stack {
	t.Helper()
	s := &stack{
		dir: t.TempDir(), began: time.Now(), notified: map[string]int{}, connections: &http.Transport{},
	}
	t.Cleanup(s.connections.CloseIdleConnections)
	program := proctest.Build(t, "github.com/pgbailiff/pgbailiff", "pgbailiff")
	s.orders = pgtest.Start(t, "max_prepared_transactions=5", "compute_query_id=on")
	s.billing = pgtest.Start(t, "max_connections=50", "superuser_reserved_connections=0")
	s.write(t, "token", token)
	s.write(t, "no-servers.yml", "[]")
	s.write(t, "bad-servers.yml", "- {name: nowhere, dsn: 5}")
	s.enforcingURL = s.serve(t, program, "enforce",
		fmt.Sprintf(enforcing, s.orders.DSN("monsig"), s.billing.DSN("monsig"), s.orders.DSN("nopriv")))
	s.dryRunURL = s.serve(t, program, "dry-run", fmt.Sprintf(dryRun, s.orders.DSN("monsig")))
	s.fullDiskURL = s.serve(t, program, "full-disk", fullDisk)
	s.startAlertmanager(t)

	// `for` is 2 s and the thresholds are divided, because this test cannot wait for
	// minutes or days. Everything else is as shipped.
	rules := shipped(t, "pgbailiff.rules.yml")
	s.write(t, "pgbailiff.rules.yml", regexp.MustCompile(`\bfor: \d\w+`).ReplaceAllString(rules, "for: 2s"))
	thresholds := shipped(t, "pgbailiff.thresholds.yml")
	for kind, divisor := range map[string]string{"seconds": "200", "backends": "5"} {
		record := regexp.MustCompile(`(record: pgbailiff:threshold_` + kind + `\n +expr: )(.+)`)
		thresholds = record.ReplaceAllString(thresholds, "$1($2) / "+divisor)
	}
	// The critical threshold leaves time for the cancel at warning to take effect.
	const critical = "(10 * 60) / 200\n        labels: {alert: PgbailiffLongQueryCritical}"
	if !strings.Contains(thresholds, critical) {
		t.Fatalf("the thresholds have no %q:\n%s", critical, thresholds)
	}
	s.thresholds = strings.Replace(thresholds, critical, strings.Replace(critical, "/ 200", "/ 20", 1), 1)
	s.targets = fmt.Sprintf("[%q, %q, %q, %q]", // and one that is down
		strings.TrimPrefix(s.enforcingURL, "http://"), strings.TrimPrefix(s.dryRunURL, "http://"),
		strings.TrimPrefix(s.fullDiskURL, "http://"), "127.0.0.1:1")
	s.configurePrometheus(t, "[]", "groups: []")
	s.prometheus = proctest.Prometheus(t, s.dir)
	return s
}

// enforcing has a server of each kind: two that work, one on which it has no
// privileges, and one that is down. Sessions of the application "kept" are never
// signalled by an alert, and about those of "ask" a person is asked.
const enforcing = `
servers:
  - {name: orders, dsn: "%s"}
  - {name: billing, dsn: "%s"}
  - {name: blind, dsn: "%s"}
  - {name: down, dsn: "postgresql://nobody@127.0.0.1:1/postgres?sslmode=disable"}
servers_files: [no-servers.yml]
collector: {min_duration: 200ms, query_text: full}
webhook: {credentials_file: token}
remediation:
  mode: enforce
  grace: 1s
  verify_timeout: 3s
  rules:
    - {name: kept, matchers: ['application_name="kept"'], action: none}
    - {name: ask, matchers: ['application_name="ask"'], action: terminate, approval: required}
  limits: {actions: 12, window: 10s, suspend_after: 30}
  ledger: {file: ledger.jsonl}
people: {operators: [ann], user_header: X-Forwarded-User, trusted_proxies: [127.0.0.1]}
`

const dryRun = `
servers:
  - {name: orders, dsn: "%s"}
servers_files: [bad-servers.yml]
collector: {min_duration: 200ms, max_sessions: 1}
webhook: {credentials_file: token}
remediation: {mode: dry-run}
`

// fullDisk cannot write its ledger.
const fullDisk = `
servers:
  - {name: nowhere, dsn: "postgresql://nobody@127.0.0.1:1/postgres?sslmode=disable"}
webhook: {credentials_file: token}
remediation: {mode: dry-run, ledger: {file: /dev/full}}
`

// external is where people would reach a pgbailiff, with its name behind it.
const external = "https://db.example.org/"

func (s *stack) serve(t *testing.T, path, name, config string) (url string) {
	t.Helper()
	s.write(t, name+".yml", config)
	return proctest.Serve(t, proctest.Command{Path: path, Name: name, Dir: s.dir, Args: []string{
		"--config.file=" + name + ".yml", "--web.external-url=" + external + name,
	}}).URL
}

// startAlertmanager gives the shipped receivers for people a webhook that counts.
func (s *stack) startAlertmanager(t *testing.T) {
	t.Helper()
	people := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.notified[strings.Trim(r.URL.Path, "/")]++
	}))
	t.Cleanup(people.Close)
	hook := "\n    webhook_configs:\n      - url: " + people.URL
	s.write(t, "alertmanager.yml", shipped(
		t, "alertmanager.yml",
		"http://127.0.0.1:10187", s.enforcingURL, "/etc/alertmanager/pgbailiff.token", "token",
		"group_wait: 30s", "group_wait: 1s", "group_wait: 3m", "group_wait: 1s",
		"group_interval: 5m", "group_interval: 1s", "group_interval: 30s", "group_interval: 1s",
		"repeat_interval: 1m", "repeat_interval: 5s",
		"- name: chat", "- name: chat"+hook+"/chat", "- name: pager", "- name: pager"+hook+"/pager",
	))
	s.alertmanager = proctest.Alertmanager(t, s.dir)
}

func (s *stack) notifications(receiver string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.notified[receiver]
}

// configurePrometheus writes the files, and reloads Prometheus if it runs.
func (s *stack) configurePrometheus(t *testing.T, targets, thresholds string) {
	t.Helper()
	s.write(t, "pgbailiff.thresholds.yml", thresholds)
	s.write(t, "prometheus.yml", shipped(
		t, "prometheus.yml",
		"evaluation_interval: 15s", "evaluation_interval: 1s", "scrape_interval: 15s", "scrape_interval: 1s",
		"scrape_timeout: 10s", "scrape_timeout: 1s", `["127.0.0.1:10187"]`, targets, "127.0.0.1:9093", s.alertmanager.Address,
		"alerting:", unreachableProbes+"alerting:",
	))
	if s.prometheus != nil {
		if err := s.prometheus.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
}

// unreachableProbes is the job of a fleet's servers, of which one cannot be scraped.
const unreachableProbes = `  - job_name: pgbailiff-servers
    static_configs: [{targets: ["127.0.0.1:1"], labels: {server: orders}}]
`

// shipped is a file of alerts/ with these words replaced. Each must occur.
func shipped(t *testing.T, name string, words ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../alerts", name))
	if err != nil {
		t.Fatal(err)
	}
	for pair := range slices.Chunk(words, 2) {
		if !strings.Contains(string(text), pair[0]) {
			t.Fatalf("%s: there is no %q", name, pair[0])
		}
	}
	return strings.NewReplacer(words...).Replace(string(text))
}

func (s *stack) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// fetch gets a page, or posts a message with a token.
func (s *stack) fetch(t *testing.T, url, message string, bearer ...string) (status int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), proctest.Patience)
	defer cancel()
	method, headers := http.MethodGet, []string(nil)
	if len(bearer) > 0 {
		method, headers = http.MethodPost, []string{"Content-Type: application/json", "Authorization: Bearer " + bearer[0]}
	}
	answer, err := proctest.FetchOver(ctx, s.connections, method, url, strings.NewReader(message), headers...)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status, answer.Body
}
