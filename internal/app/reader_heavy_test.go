//go:build heavy

package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// readers is a server with many sessions, and those who look at them.
type readers struct {
	url    string
	victim *pgtest.Client
}

// newReaders starts a server with 500 sessions in transactions, which / and the API
// list, and pgbailiff.
func newReaders(t testing.TB) *readers {
	t.Helper()
	srv := pgtest.Start(t, "max_connections=600")
	for range 500 {
		c := srv.Open(t, "app")
		c.Exec(t, "begin")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "token")
	write(t, file, "token\n")
	a, _ := newTestApp(t, fmt.Sprintf(`
servers: [{name: orders, dsn: %q}]
collector: {min_duration: 0s, max_sessions: 500}
webhook: {credentials_file: %q}
remediation:
  mode: enforce
  limits: {actions: 1000000, suspend_after: 1000000}
  ledger: {file: %q}
`, srv.DSN("monsig"), file, filepath.Join(dir, "ledger.jsonl")))
	t.Cleanup(a.stop)
	main, _ := a.routes()
	server := httptest.NewServer(main)
	t.Cleanup(server.Close)
	return &readers{url: server.URL, victim: srv.Open(t, "app")}
}

// hammer reads / and the sessions of the API without a pause until it is told to
// stop, and returns how many answers there were.
func (r *readers) hammer(t testing.TB, clients int) (stop func() (answers int64)) {
	t.Helper()
	var all sync.WaitGroup
	var answers atomic.Int64
	ended := make(chan struct{})
	for i := range clients {
		path := []string{"/", "/api/v1/sessions"}[i%2]
		all.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				reply, err := proctest.Fetch(t.Context(), http.MethodGet, r.url+path, nil)
				if err != nil || reply.Status != http.StatusOK {
					t.Errorf("%s: %d, %v", path, reply.Status, err)
					return
				}
				answers.Add(1)
			}
		})
	}
	return func() int64 {
		close(ended)
		all.Wait()
		return answers.Load()
	}
}

// alert sends an alert about what the victim runs, and returns how long it took
// until that was cancelled.
func (r *readers) alert(t testing.TB) time.Duration {
	t.Helper()
	r.victim.Start(t, "select pg_sleep(600)")
	seen := r.victim.Activity(t)
	const layout = "2006-01-02T15:04:05.000000Z"
	message, err := json.Marshal(map[string]any{"version": "4", "alerts": []any{map[string]any{
		"status": "firing", "startsAt": seen.QueryStart.Add(time.Microsecond), "fingerprint": "a",
		"labels": map[string]string{
			"alertname": "LongQuery", "severity": "warning", "server": "orders", "pid": strconv.Itoa(r.victim.PID()),
			"backend_start": seen.BackendStart.Format(layout), "query_start": seen.QueryStart.Format(layout),
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	var took time.Duration
	var ending sync.WaitGroup
	ending.Go(func() {
		<-r.victim.Done()
		took = time.Since(begun)
	})
	reply, err := proctest.Fetch(proctest.Deadline(t), http.MethodPost, r.url+"/webhook", io.Reader(strings.NewReader(string(message))),
		"Content-Type: application/json", "Authorization: Bearer token")
	if err != nil || reply.Status != http.StatusOK || !strings.Contains(reply.Body, `"outcome":"cancelled"`) {
		t.Fatalf("the answer to the alert is %d %s, %v", reply.Status, reply.Body, err)
	}
	ending.Wait()
	return took
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// TestAlertsGoThroughWhileEverybodyReads: 20 clients open / and ask for the sessions
// without a pause; no alert fails. BenchmarkAlertWhileEverybodyReads says how much
// longer it takes.
func TestAlertsGoThroughWhileEverybodyReads(t *testing.T) {
	r := newReaders(t)
	alone := r.alert(t)
	stop := r.hammer(t, 20)
	var all []time.Duration
	for range 20 {
		all = append(all, r.alert(t))
	}
	if answers := stop(); answers < 20 {
		t.Errorf("only %d answers meanwhile", answers)
	}
	t.Logf("%s alone, %s beside the readers", alone, median(all))
}

// BenchmarkAlertWhileEverybodyReads reports how many times as long it takes from an
// alert to the end of the query, by the median, while 20 clients read.
func BenchmarkAlertWhileEverybodyReads(b *testing.B) {
	r := newReaders(b)
	measure := func() time.Duration {
		var all []time.Duration
		for range 50 {
			all = append(all, r.alert(b))
		}
		return median(all)
	}
	for b.Loop() {
		alone := measure()
		stop := r.hammer(b, 20)
		beside := measure()
		answers := stop()
		b.ReportMetric(float64(alone.Microseconds())/1000, "ms-alone")
		b.ReportMetric(float64(beside.Microseconds())/1000, "ms-beside")
		b.ReportMetric(float64(beside)/float64(alone), "times-as-long")
		b.ReportMetric(float64(answers), "answers")
	}
}
