package webhook_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// missing are alerts for pids that are not there.
func missing(server string, n int) []labels {
	all := make([]labels, n)
	for i := range all {
		all[i] = labels{
			"alertname": "Test", "severity": "critical", "server": server, "pid": fmt.Sprint(1_000_000 + i),
			"backend_start": "2020-01-01T00:00:00.000000Z", "query_start": "2020-01-01T00:00:00.000000Z",
		}
	}
	return all
}

// The alerts of one server wait while it hangs. The alert of a healthy server
// comes last in the same message, and another one in the next.
func TestAHungServerDelaysNoOther(t *testing.T) {
	healthy, hung := pgtest.Start(t), pgtest.Start(t)
	b := newTestHandler(t, healthy, quiet, func(b *testHandler) {
		b.settings.Servers["billing"] = newServer(t, hung, "billing")
	})
	last, next := healthy.Run(t, "app", "select pg_sleep(60)"), healthy.Run(t, "app", "select pg_sleep(60)")
	alerts := append(missing("billing", 1200), identity(t, last, "warning"))
	hang, resume := hung.Hanging(t, "pgbailiff")
	hang()
	type reply struct {
		code    int
		results []webhook.Result
	}
	replies := make(chan reply, 1)
	go func() {
		code, results := b.post(t, message(time.Now(), alerts...))
		replies <- reply{code, results}
	}()
	proctest.Until(t, "the query on the healthy server to end", func() bool { return !last.Running() })
	code, results := b.post(t, message(time.Now(), identity(t, next, "warning")))
	if code != http.StatusOK || results[0].Outcome != "cancelled" {
		t.Errorf("the next message: %d %+v", code, results)
	}
	resume()
	r := <-replies
	if len(r.results) != len(alerts) {
		t.Fatalf("%d, %d results", r.code, len(r.results))
	}
	if got := r.results[len(alerts)-1]; got.Outcome != "cancelled" || got.Server != "orders" {
		t.Errorf("the last alert: %+v", got)
	}
}

// A server that is down is told with 503, beside what was decided about the
// others.
func TestUnreachableServer(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestHandler(t, srv)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	alert := identity(t, c, "warning")
	srv.Kill(t)
	begun := time.Now()
	code, results := b.post(t, message(time.Now(), alert, alert.with("pid", "x")))
	if code != http.StatusServiceUnavailable || len(results) != 2 || time.Since(begun) > 10*time.Second {
		t.Fatalf("%d %+v after %s", code, results, time.Since(begun))
	}
	if results[0].Outcome != "failed" || results[1].Reason != "bad_label" || results[1].PID != "x" || results[1].Server != "orders" {
		t.Errorf("%+v", results)
	}
}
