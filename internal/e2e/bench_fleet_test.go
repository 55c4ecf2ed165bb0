package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// BenchmarkFleet measures, from outside, the released binary with 1,000 servers,
// which are names of one PostgreSQL: how long it takes until both connections of all
// servers are open when all of them come up at once; what it takes of a processor
// while nobody asks, to keep 1,000 connections warm; what a probe takes beside that;
// and its memory.
func BenchmarkFleet(b *testing.B) {
	const servers, rounds = 1000, 1
	for b.Loop() {
		srv := pgtest.Start(b, "max_connections=2200")
		srv.Stop(b)
		p := serveFleet(b, servers, srv.DSN("monsig"))
		transport := &http.Transport{DisableCompression: true}
		probe := func(rounds int) {
			for range rounds {
				for i := range servers {
					scrapeOnce(b, transport, fmt.Sprintf("http://%s/probe?server=s%d", p.Address(), i), "gzip")
				}
			}
		}
		probe(1)
		srv.Restart(b)
		began := time.Now()
		for open := 0; open < 2*servers; {
			probe(1)
			open = pgtest.Value[int](b, srv, "select count(*) from pg_stat_activity where application_name = 'pgbailiff'")
		}
		b.ReportMetric(time.Since(began).Seconds(), "s-until-all-are-open")
		probe(1)
		background := idle(b, p)
		before := processorTime(b, p)
		began = time.Now()
		probe(rounds)
		cost := processorTime(b, p) - before - time.Duration(background*float64(time.Since(began)))
		b.ReportMetric(float64(cost.Microseconds())/1000/(rounds*servers), "ms/probe")
		b.ReportMetric(100*background, "idle-%")
		b.ReportMetric(resident(b, p), "MiB-resident")
		transport.CloseIdleConnections()
		p.Stop()
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkUnreachableFleet measures the released binary with 10,000 servers that
// all refuse connections: its memory, and the processor time that it takes while
// nobody asks.
func BenchmarkUnreachableFleet(b *testing.B) {
	for b.Loop() {
		closed := proctest.FreePort(b)
		p := serveFleet(b, 10_000, fmt.Sprintf("postgresql://monsig@127.0.0.1:%d/postgres", closed))
		<-time.After(time.Minute) // until the pauses between attempts are at their longest
		b.ReportMetric(100*idle(b, p), "idle-%")
		b.ReportMetric(resident(b, p), "MiB-resident")
		p.Stop()
	}
	b.ReportMetric(0, "ns/op")
}

// serveFleet starts the released binary with so many names of one server, which are
// only scraped by /probe.
func serveFleet(b *testing.B, servers int, dsn string) *proctest.Process {
	b.Helper()
	dir := b.TempDir()
	var config strings.Builder
	config.WriteString("collector: {targets: probe}\nservers:\n")
	for i := range servers {
		fmt.Fprintf(&config, "- {name: s%d, dsn: %q}\n", i, dsn)
	}
	write(b, dir, "pgbailiff.yml", config.String())
	return serveRelease(b, dir)
}

// idle is the share of a processor that a program takes while nobody asks it
// anything.
func idle(b *testing.B, p *proctest.Process) float64 {
	b.Helper()
	const length = 20 * time.Second
	before := processorTime(b, p)
	<-time.After(length)
	return float64(processorTime(b, p)-before) / float64(length)
}
