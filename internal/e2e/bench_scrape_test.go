package e2e

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// BenchmarkScrape makes so many scrapes of so many long sessions, with the
// Accept header of Prometheus.
const (
	benchScrapes  = 300
	benchSessions = 20
	benchAccept   = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)

// BenchmarkScrape measures, from outside, the processor time, user and system,
// that the released binary takes for a scrape. When postgres_exporter is in PATH,
// it is measured too, on the same server, with its metrics of sessions and locks
// only.
func BenchmarkScrape(b *testing.B) {
	srv := pgtest.Start(b)
	for range benchSessions {
		srv.Run(b, "app", "select pg_sleep(3600)")
	}
	dir := b.TempDir()
	write(b, dir, "pgbailiff.yml", fmt.Sprintf("servers: [{name: orders, dsn: %q}]\ncollector: {min_duration: 0s}\n", srv.DSN("monsig")))
	ours := serveRelease(b, dir)
	processes := map[string]*proctest.Process{"pgbailiff": ours}
	if path, err := exec.LookPath("postgres_exporter"); err == nil {
		env := append(proctest.MinimalEnv(dir), "DATA_SOURCE_NAME="+srv.DSN("monsig"))
		processes["postgres_exporter"] = proctest.Start(b, proctest.Command{
			Path: path, Dir: dir, Env: env, AnyStatus: true,
			Args: append(otherCollectorsOff(b, path), "--web.listen-address=127.0.0.1:0"),
		})
	}
	for b.Loop() {
		cost := map[string]time.Duration{}
		for name, p := range processes {
			for kind, encoding := range map[string]string{"gzip": "gzip", "plain": "identity"} {
				scrapeTimes(b, p, 20, encoding) // warm
				before := processorTime(b, p)
				scrapeTimes(b, p, benchScrapes, encoding)
				cost[name+"-"+kind] = (processorTime(b, p) - before) / benchScrapes
				b.ReportMetric(float64(cost[name+"-"+kind].Microseconds())/1000, name+"-"+kind+"-ms")
			}
		}
		if theirs := cost["postgres_exporter-gzip"]; theirs > 0 {
			b.ReportMetric(float64(cost["pgbailiff-gzip"])/float64(theirs), "x-postgres_exporter")
		}
		b.ReportMetric(resident(b, ours), "MiB-resident")
	}
	b.ReportMetric(0, "ns/op")
}

// serveRelease builds the binary as it is released and starts it.
func serveRelease(b *testing.B, dir string) *proctest.Process {
	b.Helper()
	path := filepath.Join(dir, "pgbailiff")
	build := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, module)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return proctest.Serve(b, proctest.Command{Path: path, Dir: dir, Args: []string{"--config.file=pgbailiff.yml"}}).Process
}

// scrapeTimes scrapes over one connection, as Prometheus does.
func scrapeTimes(b *testing.B, p *proctest.Process, times int, encoding string) {
	b.Helper()
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	url := "http://" + p.Address() + "/metrics"
	for range times {
		scrapeOnce(b, transport, url, encoding)
	}
}

// scrapeOnce asks for metrics as Prometheus does.
func scrapeOnce(b *testing.B, over http.RoundTripper, url, encoding string) {
	b.Helper()
	request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
	if err != nil {
		b.Fatal(err)
	}
	request.Header.Set("Accept", benchAccept)
	request.Header.Set("Accept-Encoding", encoding)
	answer, err := over.RoundTrip(request)
	if err != nil {
		b.Fatal(err)
	}
	var body io.Reader = answer.Body
	if answer.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(body); err != nil {
			b.Fatal(err)
		}
	}
	text, err := io.ReadAll(body)
	if err := answer.Body.Close(); err != nil {
		b.Fatal(err)
	}
	if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(text), "_up") {
		b.Fatalf("%v %s\n%s", err, answer.Status, text)
	}
}

// processorTime is what a program has used so far, user and system, to the
// nanosecond: the sum over its threads, which Go does not end.
func processorTime(b *testing.B, p *proctest.Process) time.Duration {
	b.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.PID()))
	if err != nil || len(threads) == 0 {
		b.Fatalf("no threads of %s: %v", p.Name(), err)
	}
	var total time.Duration
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		if err != nil {
			b.Fatal(err)
		}
		running, _, _ := strings.Cut(string(stat), " ")
		n, err := strconv.ParseInt(running, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		total += time.Duration(n)
	}
	return total
}

// otherCollectorsOff are the flags that turn off what postgres_exporter collects
// beside sessions.
func otherCollectorsOff(b *testing.B, path string) []string {
	b.Helper()
	help, _ := exec.CommandContext(context.WithoutCancel(b.Context()), path, "--help").CombinedOutput()
	var flags []string
	for line := range strings.Lines(string(help)) {
		flag, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, ok := strings.CutPrefix(flag, "--[no-]collector.")
		if !ok {
			continue
		}
		switch name {
		case "long_running_transactions", "process_idle", "stat_activity_autovacuum", "locks":
			flags = append(flags, "--collector."+name)
		default:
			flags = append(flags, "--no-collector."+name)
		}
	}
	return flags
}
