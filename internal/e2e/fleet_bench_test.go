package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// fleetLimits do not bind. Their windows are short, because what lies within them
// is counted: no server gets thousands of signals in a window.
const fleetLimits = `
  limits: {actions: 1000000, window: 1s, suspend_after: 1000000, suspend_window: 1s}`

// samples are durations of the same thing.
type samples []time.Duration

func (s samples) at(percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)]
}

func (s samples) report(b *testing.B, name string) {
	b.ReportMetric(float64(s.at(50).Microseconds())/1000, name+"-p50-ms")
	b.ReportMetric(float64(s.at(99).Microseconds())/1000, name+"-p99-ms")
}

// timed is how long f takes.
func timed(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}

// target is a session on a server name that runs the same statement again after
// each cancel.
type target struct {
	*pgtest.Client
	server string
}

// cancelled starts the session's statement, sends the alert about it, and returns
// how long the end of the statement and the answer took.
func (f *fleet) cancelled(over http.RoundTripper, target target) (ended, answered time.Duration) {
	f.t.Helper()
	target.Start(f.t, "select pg_sleep(3600)")
	alert := identity(target.server, target.Activity(f.t), labels{"alertname": "LongQuery", "severity": "warning"})
	ends := make(chan time.Time, 1)
	go func() {
		<-target.Done()
		ends <- time.Now()
	}()
	began := time.Now()
	results, status, err := post(proctest.Deadline(f.t), over, f.replicas[0].url(), alert)
	answered = time.Since(began)
	if err != nil || status != http.StatusOK || results[0].Outcome != "cancelled" {
		f.t.Fatalf("%d %+v %v", status, results, err)
	}
	return (<-ends).Sub(began), answered
}

// BenchmarkFleetAlertToSignal measures from an alert's message to the end of the
// statement that it names, which is a little after the signal. In the same run: a
// round trip of the signalling statement, for a fence that does not hold, and a
// commit on the ledger's database of a line in a table.
func BenchmarkFleetAlertToSignal(b *testing.B) {
	orders := pgtest.Start(b)
	f := newFleet(b, 1, fmt.Sprintf("servers: [{name: orders, dsn: %q}]", orders.DSN("monsig")), fleetLimits)
	f.start()
	session := target{orders.Open(b, "app"), "orders"}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()

	guard, err := os.ReadFile(filepath.Join("..", "postgres", "sql", "signal.sql"))
	if err != nil {
		b.Fatal(err)
	}
	eyes, writer := orders.Connect(b, "monsig"), f.ledger.Connect(b, "postgres")
	f.ledger.Exec(b, "create table line (text text)")
	run := func(conn *pgx.Conn, sql string, args ...any) {
		if _, err := conn.Exec(b.Context(), sql, args...); err != nil {
			b.Fatal(err)
		}
	}
	var signal, answer, trip, commit samples
	for range 20 { // to warm everything up
		f.cancelled(transport, session)
	}
	for b.Loop() {
		started := session.Activity(b).BackendStart
		trip = append(trip, timed(func() {
			run(eyes, string(guard), "cancel", session.PID(), started, started, nil, nil, 10, nil, false, nil)
		}))
		commit = append(commit, timed(func() { run(writer, "insert into line values ($1)", strings.Repeat("x", 1000)) }))
		ended, answered := f.cancelled(transport, session)
		signal, answer = append(signal, ended), append(answer, answered)
	}
	for name, s := range map[string]samples{"signal": signal, "answer": answer, "trip": trip, "commit": commit} {
		s.report(b, name)
	}
	b.ReportMetric(float64(signal.at(99))/float64(trip.at(99)+commit.at(99)), "x-trip+commit-p99")
	b.ReportMetric(float64(signal.at(50))/float64(trip.at(50)+commit.at(50)), "x-trip+commit-p50")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkTenThousandServers compares how long a replica with ten servers and
// one with ten thousand, all of them but one unreachable, take for what does not
// depend on their number.
func BenchmarkTenThousandServers(b *testing.B) {
	orders := pgtest.Start(b)
	session := target{orders.Open(b, "app"), "orders"}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	few, many := startUnreachable(b, orders, 10), startUnreachable(b, orders, 10000)
	fetch := func(f *fleet, path string) func() {
		return func() {
			answer, err := proctest.FetchOver(proctest.Deadline(b), transport, http.MethodGet, f.replicas[0].url()+path, nil)
			if err != nil || answer.Status != http.StatusOK {
				b.Fatalf("%s: %d, %v", path, answer.Status, err)
			}
		}
	}
	paths := map[string]string{"ready": "/-/ready", "metrics": "/metrics", "probe": "/probe?server=orders", "targets": "/api/v1/targets"}
	took := map[string]*[2]samples{"alert": {}}
	for name := range paths {
		took[name] = &[2]samples{}
	}
	for b.Loop() {
		for i, f := range []*fleet{few, many} {
			for name, path := range paths {
				took[name][i] = append(took[name][i], timed(fetch(f, path)))
			}
			ended, _ := f.cancelled(transport, session)
			took["alert"][i] = append(took["alert"][i], ended)
		}
	}
	for name, s := range took {
		b.ReportMetric(float64(s[0].at(50).Microseconds())/1000, name+"-of-10-ms")
		b.ReportMetric(float64(s[1].at(50).Microseconds())/1000, name+"-of-10000-ms")
		b.ReportMetric(float64(s[1].at(50))/float64(s[0].at(50)), name+"-ratio")
	}
	b.ReportMetric(0, "ns/op")
}

// startUnreachable starts a replica with so many servers, all of them unreachable
// but orders.
func startUnreachable(t testing.TB, orders *pgtest.Server, n int) *fleet {
	t.Helper()
	f := newFleet(t, 1, "servers_files: [servers.yml]", fleetLimits)
	var servers strings.Builder
	for i := range n - 1 {
		fmt.Fprintf(&servers, "- {name: down%05d, dsn: \"postgresql://nobody@127.0.0.1:1/postgres?sslmode=disable\"}\n", i)
	}
	fmt.Fprintf(&servers, "- {name: orders, dsn: %q}\n", orders.DSN("monsig"))
	write(t, f.dir, "servers.yml", servers.String())
	f.start()
	return f
}

// BenchmarkHungServer compares how fast alerts about 99 servers are carried out
// before another server hangs, and while 2,000 alerts wait for it.
func BenchmarkHungServer(b *testing.B) {
	h := startHundred(b)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	round := func() (took samples) {
		for _, session := range h.sessions {
			ended, _ := h.cancelled(transport, session)
			took = append(took, ended)
		}
		return took
	}
	round()
	var before, meanwhile samples
	for b.Loop() {
		before = append(before, round()...)
		resume := h.hung.Halt(b)
		flood := h.flood(2000)
		meanwhile = append(meanwhile, round()...)
		flood(nil)
		resume()
		h.awaitHung()
	}
	before.report(b, "without")
	meanwhile.report(b, "beside")
	for _, percent := range []int{50, 99} {
		b.ReportMetric(float64(meanwhile.at(percent))/float64(before.at(percent)), fmt.Sprintf("ratio-p%d", percent))
	}
	b.ReportMetric(0, "ns/op")
}
