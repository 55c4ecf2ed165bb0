package postgres_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// BenchmarkScrapeCost compares what a scrape costs the server with one read of
// the view and one of the function under it, in the same run: the processor
// time of the backends, by the kernel's own account. 20 sessions are long, the
// rest is idle.
func BenchmarkScrapeCost(b *testing.B) {
	for _, connections := range []int{100, 1000, 4000} {
		b.Run(fmt.Sprintf("%d", connections), func(b *testing.B) {
			srv := pgtest.Start(b, fmt.Sprintf("max_connections=%d", connections+50))
			crowd(b, srv, connections-20)
			for range 20 {
				srv.Run(b, "app", "select pg_sleep(600)")
			}
			// Nobody scrapes a server whose sessions have all just come.
			srv.WaitFor(b, "select clock_timestamp() - max(query_start) > '2 s' from pg_stat_activity where usename = 'app'")
			s := start(b, srv, "monsig")
			snapshot(b, s)
			ours := pgtest.Value[[]int32](b, srv, "select array_agg(pid) from pg_stat_activity where application_name = 'pgbailiff'")
			conn := srv.Connect(b, "monsig")
			theirs := []int32{int32(conn.PgConn().PID())}
			count := func(sql string) func() error {
				return func() error {
					var n int64
					return conn.QueryRow(context.Background(), sql).Scan(&n)
				}
			}
			for b.Loop() {
				scrape := cost(b, ours, func() error {
					_, err := s.Snapshot(context.Background(), session.SnapshotOptions{MinAge: 0.001, MaxSessions: 50})
					return err
				})
				view := cost(b, theirs, count("select count(*) from pg_stat_activity"))
				function := cost(b, theirs, count("select count(*) from pg_stat_get_activity(null)"))
				b.ReportMetric(float64(scrape.Microseconds())/1000, "scrape-ms")
				b.ReportMetric(float64(view.Microseconds())/1000, "view-ms")
				b.ReportMetric(float64(scrape)/float64(view), "scrape/view")
				b.ReportMetric(float64(scrape)/float64(function), "scrape/function")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// cost is the median processor time that one call takes of the backends.
func cost(b *testing.B, pids []int32, call func() error) time.Duration {
	b.Helper()
	used := func() (sum time.Duration) {
		for _, pid := range pids {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
			if err != nil {
				b.Fatal(err)
			}
			ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			sum += time.Duration(ns)
		}
		return sum
	}
	var costs []time.Duration
	for range 51 {
		before := used()
		if err := call(); err != nil {
			b.Fatal(err)
		}
		costs = append(costs, used()-before)
	}
	slices.Sort(costs)
	return costs[len(costs)/2]
}

// crowd opens idle sessions that have run something.
func crowd(b *testing.B, srv *pgtest.Server, n int) {
	b.Helper()
	for range n {
		conn, err := pgx.Connect(context.Background(), srv.DSN("app"))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := conn.Exec(context.Background(), "select 1 -- "+strings.Repeat("x", 900)); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = conn.Close(context.Background()) })
	}
}
