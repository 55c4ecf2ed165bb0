package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// BenchmarkResident is the memory of the released binary: when idle,
// with 1,000 connections on its server, and after 10,000 scrapes of 50 long
// sessions.
func BenchmarkResident(b *testing.B) {
	for b.Loop() {
		dir := b.TempDir()
		srv := pgtest.Start(b, "max_connections=1100")
		write(b, dir, "pgbailiff.yml", fmt.Sprintf("servers: [{name: orders, dsn: %q}]\ncollector: {min_duration: 0s}\n", srv.DSN("monsig")))
		p := serveRelease(b, dir)
		url := "http://" + p.Address() + "/metrics"
		scrape := func(times int) {
			for range times {
				if _, err := proctest.Get(b, url); err != nil {
					b.Fatal(err)
				}
			}
		}
		scrape(1)
		b.ReportMetric(resident(b, p), "MiB-idle")
		for range 50 {
			srv.Run(b, "app", "select pg_sleep(3600)")
		}
		for range 950 {
			srv.Open(b, "app")
		}
		scrape(100)
		b.ReportMetric(resident(b, p), "MiB-1000-connections")
		scrape(10000)
		b.ReportMetric(resident(b, p), "MiB-10000-scrapes")
		p.Stop()
	}
	b.ReportMetric(0, "ns/op")
}

// resident is how much memory a program takes, in MiB.
func resident(b *testing.B, p *proctest.Process) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kB, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kB / 1024
		}
	}
	b.Fatal("no VmRSS")
	return 0
}
