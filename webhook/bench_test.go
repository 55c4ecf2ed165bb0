package webhook_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// observed is a server that notes when it was asked and when it has sent the
// last signal, by the clock of the server, which is also ours.
type observed struct {
	remediation.Server
	asked, found, ordered, signalled time.Time
}

func (o *observed) Find(ctx context.Context, pid int32) (session.Found, bool, error) {
	o.asked = time.Now()
	s, ok, err := o.Server.Find(ctx, pid)
	o.found = time.Now()
	return s, ok, err
}

func (o *observed) Signal(ctx context.Context, verb session.Verb, f session.Fence) (session.Signalled, error) {
	o.ordered = time.Now()
	answer, err := o.Server.Signal(ctx, verb, f)
	o.signalled = answer.At
	return answer, err
}

// samples are durations of the same thing.
type samples []time.Duration

func (s samples) at(percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)]
}

func (s samples) report(b *testing.B, name string) {
	for percent, unit := range map[int]string{50: name + "-p50-µs", 99: name + "-p99-µs"} {
		b.ReportMetric(float64(s.at(percent).Nanoseconds())/1e3, unit)
	}
}

// BenchmarkAlertToSignal measures from the arrival of a request with one alert
// to the signal. Beside it, in the same run: a round trip of the signalling
// statement on the same connection, for a fence that does not hold, and one
// fsync of a line beside the ledger. The ratio compares all three at the 99th
// percentile and should be below 1.
func BenchmarkAlertToSignal(b *testing.B) {
	srv := pgtest.Start(b)
	server := &observed{}
	bl := newTestHandler(b, srv, quiet, func(bl *testHandler) {
		server.Server = bl.settings.Servers["orders"]
		bl.settings.Servers["orders"] = server
	})
	line, err := os.Create(filepath.Join(b.TempDir(), "line"))
	if err != nil {
		b.Fatal(err)
	}
	defer line.Close()

	var signal, trip, sync samples
	var read, find, record, send samples // what the first is made of
	c := srv.Open(b, "app")
	for b.Loop() {
		b.StopTimer()
		c.Start(b, "select pg_sleep(600)")
		alert := identity(b, c, "warning")
		fence, err := session.ParseFence(alert)
		if err != nil {
			b.Fatal(err)
		}
		fence.QueryStart = fence.QueryStart.Add(-time.Second)

		begun := time.Now()
		if got, err := server.Signal(b.Context(), session.Cancel, fence); err != nil || got.Verdict != session.VerdictMoved {
			b.Fatal(got, err)
		}
		trip = append(trip, time.Since(begun))

		begun = time.Now()
		if _, err := line.WriteString(alert["pid"] + "\n"); err != nil {
			b.Fatal(err)
		}
		if err := line.Sync(); err != nil {
			b.Fatal(err)
		}
		sync = append(sync, time.Since(begun))

		body := message(begun, alert)
		b.StartTimer()
		begun = time.Now()
		code, results := bl.post(b, body)
		if code != http.StatusOK || results[0].Outcome != string(ledger.Cancelled) {
			b.Fatal(code, results)
		}
		signal = append(signal, server.signalled.Sub(begun))
		read, find = append(read, server.asked.Sub(begun)), append(find, server.found.Sub(server.asked))
		record, send = append(record, server.ordered.Sub(server.found)), append(send, server.signalled.Sub(server.ordered))
	}
	signal.report(b, "signal")
	trip.report(b, "trip")
	sync.report(b, "fsync")
	for name, s := range map[string]samples{"of-it-read": read, "of-it-find": find, "of-it-record": record, "of-it-send": send} {
		s.report(b, name)
	}
	b.ReportMetric(float64(signal.at(99))/float64(3*trip.at(99)+sync.at(99)), "p99-ratio")
	b.ReportMetric(float64(signal.at(50))/float64(3*trip.at(50)+sync.at(50)), "p50-ratio")
}

// alertsOf are alerts for the queries of all the clients.
func alertsOf(b *testing.B, clients []*pgtest.Client) []labels {
	b.Helper()
	all := make([]labels, len(clients))
	for i, c := range clients {
		all[i] = identity(b, c, "warning")
	}
	return all
}

// BenchmarkBurst is a message with 500 alerts for the queries of 500 sessions:
// decided, signalled and verified. It should take less than 2 s.
func BenchmarkBurst(b *testing.B) {
	srv := pgtest.Start(b, "max_connections=600")
	bl := newTestHandler(b, srv, quiet)
	sleepers := make([]*pgtest.Client, 500)
	for i := range sleepers {
		sleepers[i] = srv.Open(b, "app", pgtest.AppName("crowd"))
	}
	b.Cleanup(func() { srv.Kill(b) })
	var took samples
	for b.Loop() {
		b.StopTimer()
		for _, c := range sleepers {
			c.Start(b, "select pg_sleep(600)")
		}
		body := message(time.Now(), alertsOf(b, sleepers)...)
		b.StartTimer()
		begun := time.Now()
		code, results := bl.post(b, body)
		took = append(took, time.Since(begun))
		cancelled := 0
		for _, r := range results {
			if r.Outcome == string(ledger.Cancelled) {
				cancelled++
			}
		}
		if code != http.StatusOK || cancelled != len(sleepers) {
			b.Fatal(code, cancelled)
		}
	}
	b.ReportMetric(took.at(0).Seconds(), "fastest-s")
	b.ReportMetric(took.at(50).Seconds(), "median-s")
	b.ReportMetric(took.at(100).Seconds(), "slowest-s")
}
