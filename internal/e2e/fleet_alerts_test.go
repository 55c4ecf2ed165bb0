package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// labels are an alert's.
type labels map[string]string

// identity is what an alert says of what a session does now.
func identity(server string, a pgtest.Activity, more labels) labels {
	l := labels{
		"server": server, "pid": strconv.Itoa(a.PID), "backend_start": identityTime(a.BackendStart),
		"datname": a.Database, "usename": a.User, "application_name": a.ApplicationName, "client_addr": a.ClientAddr,
	}
	if a.State == "active" {
		l["query_start"] = identityTime(a.QueryStart)
	} else {
		l["state_change"] = identityTime(a.StateChange)
	}
	maps.Copy(l, more)
	return l
}

func identityTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// sentAlert is one of Alertmanager's API.
type sentAlert struct {
	Labels   labels    `json:"labels"`
	StartsAt time.Time `json:"startsAt"`
	EndsAt   time.Time `json:"endsAt"`
}

// startAlertmanagers starts some that do not know each other, so that each of
// them delivers everything: to its own webhook, and again after repeat.
func startAlertmanagers(t testing.TB, repeat time.Duration, webhooks ...string) (urls []string) {
	t.Helper()
	for i, webhook := range webhooks {
		dir := filepath.Join(t.TempDir(), fmt.Sprint("alertmanager", i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, dir, "token", loopToken+"\n")
		write(t, dir, "alertmanager.yml", fmt.Sprintf(`
route:
  receiver: people
  routes:
    - receiver: pgbailiff
      matchers: ['remediation="auto"']
      group_by: ['...']
      group_wait: 0s
      group_interval: 1s
      repeat_interval: %s
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
`, repeat, webhook))
		urls = append(urls, proctest.Alertmanager(t, dir).URL)
	}
	return urls
}

// fire tells each Alertmanager of the alerts.
func fire(t testing.TB, alertmanagers []string, alerts ...sentAlert) {
	t.Helper()
	for batch := range slices.Chunk(alerts, 64) {
		body, err := json.Marshal(batch)
		if err != nil {
			t.Fatal(err)
		}
		for _, url := range alertmanagers {
			ctx, cancel := context.WithTimeout(t.Context(), proctest.Patience)
			answer, err := proctest.Fetch(ctx, http.MethodPost, url+"/api/v2/alerts", bytes.NewReader(body), "Content-Type: application/json")
			cancel()
			if err != nil || answer.Status != http.StatusOK {
				t.Fatalf("send alerts to %s: %d %s, %v", url, answer.Status, answer.Body, err)
			}
		}
	}
}

// result is one of the webhook's answer.
type result struct {
	Fingerprint, Server, PID, Action, Outcome, Reason, Rule string
}

// recorder is a webhook that passes everything on, and keeps what was answered.
type recorder struct {
	url string

	mu      sync.Mutex
	results []result    // of the answers with status 200
	status  map[int]int // how often each was answered
}

// startRecorder starts one before the webhook at a URL.
func startRecorder(t testing.TB, to string) *recorder {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{status: map[int]int{}}
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:        func(p *httputil.ProxyRequest) { p.SetURL(target) },
		Transport:      transport,
		ModifyResponse: r.keep,
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		transport.CloseIdleConnections()
	})
	r.url = server.URL
	return r
}

func (r *recorder) keep(answer *http.Response) error {
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	var message struct{ Results []result }
	if answer.StatusCode == http.StatusOK {
		if err := json.Unmarshal(body, &message); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status[answer.StatusCode]++
	r.results = append(r.results, message.Results...)
	return nil
}

// answered returns how often each status was answered, and the results.
func (r *recorder) answered() (string, []result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprint(r.status), slices.Clone(r.results)
}

// post sends the alerts straight to a webhook, in one message.
func post(ctx context.Context, over http.RoundTripper, webhook string, alerts ...labels) (results []result, status int, _ error) {
	type alert struct {
		Status   string    `json:"status"`
		Labels   labels    `json:"labels"`
		StartsAt time.Time `json:"startsAt"`
	}
	var all []alert
	for _, l := range alerts {
		all = append(all, alert{"firing", l, time.Now()})
	}
	body, err := json.Marshal(map[string]any{"version": "4", "status": "firing", "alerts": all})
	if err != nil {
		return nil, 0, err
	}
	answer, err := proctest.FetchOver(ctx, over, http.MethodPost, webhook+"/webhook", strings.NewReader(string(body)),
		"Content-Type: application/json", "Authorization: Bearer "+loopToken)
	if err != nil {
		return nil, 0, err
	}
	var got struct{ Results []result }
	if err := json.Unmarshal([]byte(answer.Body), &got); err != nil {
		return nil, answer.Status, fmt.Errorf("%s: %w", answer.Body, err)
	}
	return got.Results, answer.Status, nil
}
