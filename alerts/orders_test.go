package alerts_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"
)

// labels are those of an alert.
type labels map[string]string

// name tells one alert of these tests from another.
func (l labels) name() string {
	text := l["alertname"] + " for"
	for _, key := range []string{"server", "pid", "query_start", "xact_start", "state_change"} {
		if l[key] != "" {
			text += " " + l[key]
		}
	}
	return text
}

func names(alerts []labels) (all []string) {
	for _, l := range alerts {
		all = append(all, l.name())
	}
	slices.Sort(all)
	return all
}

var subject = regexp.MustCompile(`^pgbailiff_(query|transaction|idle_in_transaction|lock_wait|blocked)_(duration_seconds|backends)\s`)

// periodLabel is the label that says since when, if the rule is about sessions.
func (r rule) periodLabel() string {
	found := subject.FindStringSubmatch(r.Expr)
	if found == nil {
		return ""
	}
	return map[string]string{
		"query": "query_start", "lock_wait": "query_start", "idle_in_transaction": "state_change",
		"transaction": "xact_start", "blocked": "xact_start",
	}[found[1]]
}

// labelsFor are those of the rule's alert about the nth session, or about the
// nth server.
func (r rule) labelsFor(n int) labels {
	l := labels{"alertname": r.Alert, "job": "pgbailiff", "instance": "a:10187", "server": "orders", "datname": "shop"}
	maps.Copy(l, r.Labels)
	if period := r.periodLabel(); period != "" {
		l["pid"] = fmt.Sprint(4200 + n)
		l["backend_start"] = fmt.Sprintf("2026-11-22T11:05:54.%06dZ", n)
		l[period] = fmt.Sprintf("2026-11-22T11:06:00.%06dZ", n)
	} else {
		l["server"] = fmt.Sprintf("orders%d", n)
	}
	return l
}

// receiver takes pgbailiff's place: it keeps the orders that carry the token.
type receiver struct {
	server *httptest.Server
	token  string

	mu     sync.Mutex
	orders []labels
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	rc := &receiver{token: "token-of-the-test"}
	rc.server = httptest.NewServer(rc)
	t.Cleanup(rc.server.Close)
	return rc
}

func (rc *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var message struct{ Alerts []struct{ Labels labels } }
	if err := json.NewDecoder(r.Body).Decode(&message); err != nil || r.Header.Get("Authorization") != "Bearer "+rc.token {
		http.Error(w, "not an order", http.StatusBadRequest)
		return
	}
	rc.mu.Lock()
	defer rc.mu.Unlock()
	for _, a := range message.Alerts {
		rc.orders = append(rc.orders, a.Labels)
	}
}

// received are the names of the orders, each once.
func (rc *receiver) received() []string {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return slices.Compact(names(rc.orders))
}

// configuration is the shipped one, with pgbailiff's address and token file
// replaced.
func (rc *receiver) configuration(t *testing.T) (c map[string]any) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(rc.token), 0o600); err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("http://127.0.0.1:10187", rc.server.URL, "/etc/alertmanager/pgbailiff.token", file).
		Replace(string(read(t, "alertmanager.yml")))
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// first is a list of a list's first element.
func first(list any) []any { return slices.Clone(list.([]any)[:1]) }
