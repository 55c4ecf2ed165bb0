//go:build heavy

package dashboards_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

const token = "token-of-the-live-stack"

// stack is the whole loop: two PostgreSQL servers, a pgbailiff that enforces,
// one in dry run and one without room for its ledger, Alertmanager and Prometheus, with the configurations that
// we ship and more haste.
type stack struct {
	dir             string
	client          *http.Client
	began           time.Time
	orders, billing *pgtest.Server
	bailiffURL      string
	dryRunURL       string
	fullDiskURL     string
	alertmanager    string // host:port
	prometheus      *child
	prometheusURL   string
	targets         string           // of Prometheus, as YAML
	thresholds      string           // the file
	crowd           []*pgtest.Client // the sessions that fill billing

	mu   sync.Mutex
	tell map[string]int // messages to people, by receiver
}

func startStack(t *testing.T) *stack {
	t.Helper()
	s := &stack{
		dir: t.TempDir(), began: time.Now(), tell: map[string]int{},
		client: &http.Client{Transport: &http.Transport{}, Timeout: patience},
	}
	t.Cleanup(s.client.CloseIdleConnections)
	prometheus := installed(t, "prometheus")
	alertmanager := installed(t, "alertmanager", "prometheus-alertmanager")
	bailiff := build(t)
	s.orders = pgtest.Start(t, "max_prepared_transactions=5", "compute_query_id=on")
	s.billing = pgtest.Start(t, "max_connections=50", "superuser_reserved_connections=0")
	s.write(t, "token", token)
	s.bailiffURL = s.serve(t, bailiff, "enforce",
		fmt.Sprintf(enforcing, s.orders.DSN("monsig"), s.billing.DSN("monsig"), s.orders.DSN("nopriv")))
	s.dryRunURL = s.serve(t, bailiff, "dry-run", fmt.Sprintf(dryRun, s.orders.DSN("monsig")))
	s.fullDiskURL = s.serve(t, bailiff, "full-disk", fullDisk)
	s.startAlertmanager(t, alertmanager)

	// Nobody can wait for 5 minutes here, let alone for a week of dry run: `for`
	// is 2 s, and of the thresholds a fraction. Everything else is as shipped.
	rules := shipped(t, "pgbailiff.rules.yml")
	s.write(t, "pgbailiff.rules.yml", regexp.MustCompile(`\bfor: \d\w+`).ReplaceAllString(rules, "for: 2s"))
	thresholds := shipped(t, "pgbailiff.thresholds.yml")
	for kind, divisor := range map[string]string{"seconds": "200", "backends": "5"} {
		record := regexp.MustCompile(`(record: pgbailiff:threshold_` + kind + `\n +expr: )(.+)`)
		thresholds = record.ReplaceAllString(thresholds, "$1($2) / "+divisor)
	}
	// A cancel has time to be carried out before the session is terminated.
	const late = "(10 * 60) / 200\n        labels: {alert: PgbailiffLongQueryCritical}"
	if !strings.Contains(thresholds, late) {
		t.Fatalf("the thresholds have no %q:\n%s", late, thresholds)
	}
	s.thresholds = strings.Replace(thresholds, late, strings.Replace(late, "/ 200", "/ 20", 1), 1)
	s.targets = fmt.Sprintf("[%q, %q, %q, %q]", // and one that is down
		strings.TrimPrefix(s.bailiffURL, "http://"), strings.TrimPrefix(s.dryRunURL, "http://"),
		strings.TrimPrefix(s.fullDiskURL, "http://"), "127.0.0.1:1")
	s.configurePrometheus(t, "[]", "groups: []")
	s.prometheus = start(t, s.dir, "prometheus", prometheus, "--config.file=prometheus.yml",
		"--storage.tsdb.path=prometheus.data", "--web.listen-address=127.0.0.1:0")
	s.prometheusURL = "http://" + s.prometheus.address(t)
	s.awaitReady(t, s.prometheusURL)
	return s
}

// enforcing has a server of each kind: two that are well, one on which it has
// no privileges, and one that is down. What is called "kept" stays as it is.
const enforcing = `
servers:
  - {name: orders, dsn: "%s"}
  - {name: billing, dsn: "%s"}
  - {name: blind, dsn: "%s"}
  - {name: down, dsn: "postgresql://nobody@127.0.0.1:1/postgres?sslmode=disable"}
collector: {min_duration: 200ms, query_text: full}
webhook: {credentials_file: token}
remediation:
  mode: enforce
  grace: 1s
  verify_timeout: 3s
  rules:
    - {name: kept, matchers: ['application_name="kept"'], action: none}
  limits: {actions: 12, window: 10s, suspend_after: 30}
  ledger: {file: ledger.jsonl}
`

const dryRun = `
servers:
  - {name: orders, dsn: "%s"}
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

func (s *stack) serve(t *testing.T, path, name, config string) (url string) {
	t.Helper()
	s.write(t, name+".yml", config)
	p := start(t, s.dir, name, path, "--config.file="+name+".yml", "--web.listen-address=127.0.0.1:0")
	url = "http://" + p.address(t)
	s.awaitReady(t, url)
	return url
}

// startAlertmanager gives the shipped people's receivers a place to send to.
func (s *stack) startAlertmanager(t *testing.T, path string) {
	t.Helper()
	people := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tell[strings.Trim(r.URL.Path, "/")]++
	}))
	t.Cleanup(people.Close)
	hook := "\n    webhook_configs:\n      - url: " + people.URL
	s.write(t, "alertmanager.yml", shipped(
		t, "alertmanager.yml",
		"http://127.0.0.1:10187", s.bailiffURL, "/etc/alertmanager/pgbailiff.token", "token",
		"group_wait: 30s", "group_wait: 1s", "group_wait: 3m", "group_wait: 1s",
		"group_interval: 5m", "group_interval: 1s", "group_interval: 30s", "group_interval: 1s",
		"repeat_interval: 1m", "repeat_interval: 5s",
		"- name: chat", "- name: chat"+hook+"/chat", "- name: pager", "- name: pager"+hook+"/pager",
	))
	p := start(t, s.dir, "alertmanager", path, "--config.file=alertmanager.yml", "--storage.path=alertmanager.data",
		"--cluster.listen-address=", "--web.listen-address=127.0.0.1:0", "--web.external-url=http://alertmanager.example")
	s.alertmanager = p.address(t)
	s.awaitReady(t, "http://"+s.alertmanager)
}

func (s *stack) told(receiver string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tell[receiver]
}

// configurePrometheus writes the files and has a Prometheus that runs read them.
func (s *stack) configurePrometheus(t *testing.T, targets, thresholds string) {
	t.Helper()
	s.write(t, "pgbailiff.thresholds.yml", thresholds)
	s.write(t, "prometheus.yml", shipped(
		t, "prometheus.yml",
		"evaluation_interval: 15s", "evaluation_interval: 1s", "scrape_interval: 15s", "scrape_interval: 1s",
		"scrape_timeout: 10s", "scrape_timeout: 1s", `["127.0.0.1:10187"]`, targets, "127.0.0.1:9093", s.alertmanager,
	))
	if s.prometheus != nil {
		if err := s.prometheus.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
}

// shipped is a file of alerts/ with these words replaced, each of which is there.
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

func (s *stack) awaitReady(t *testing.T, url string) {
	t.Helper()
	eventually(t, url+" to be ready", func() bool {
		status, _ := s.fetch(t, url+"/-/ready", "")
		return status == http.StatusOK
	})
}

// fetch gets a page, or posts a message with a token.
func (s *stack) fetch(t *testing.T, url, message string, bearer ...string) (status int, body string) {
	t.Helper()
	method := http.MethodGet
	if len(bearer) > 0 {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	if len(bearer) > 0 {
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer "+bearer[0])
	}
	response, err := s.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// build builds pgbailiff, under the race detector where this test is.
func build(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "pgbailiff")
	args := []string{"build", "-o", path}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(t.Context(), installed(t, "go"), append(args, ".")...)
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

func installed(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("%s is missing: install Go, Prometheus and Alertmanager, the latter on Debian and Ubuntu with "+
		"`apt-get install prometheus prometheus-alertmanager`", names[0])
	return ""
}
