//go:build heavy

package collector_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgbailiff/pgbailiff/collector"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
)

// TestPrometheusAcceptsEverySample: while sessions come and go, statements change,
// and transactions idle, fail and wait for each other, Prometheus finds no sample
// that is a duplicate, out of order or otherwise wrong.
func TestPrometheusAcceptsEverySample(t *testing.T) {
	t.Parallel()
	pg := pgtest.Start(t, "compute_query_id=on")
	pg.Exec(t, "create table stock (item int primary key, n int)", "insert into stock values (1, 1), (2, 1)", "grant all on stock to public")
	var lines bytes.Buffer
	logger := log.NewLogfmtLogger(log.NewSyncWriter(&lines))
	orders, err := postgres.New(postgres.Config{Name: "orders", DSN: pg.DSN("monsig")}, postgres.NewDials(16), logger)
	if err != nil {
		t.Fatal(err)
	}
	orders.Start()
	defer orders.Close()
	cfg := config()
	cfg.MinDuration, cfg.MaxSessions = 0, 7
	web := httptest.NewServer(collector.Handler(prometheus.NewRegistry(), collector.Settings{
		Config: cfg, Servers: []collector.Server{orders},
	}, logger))
	defer web.Close()
	p := startPrometheus(t, web.Listener.Addr().String())

	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 12 {
		clients.Go(func() { runSessions(t, pg.DSN("app"), stop) })
	}
	stopClients := sync.OnceFunc(func() {
		close(stop)
		clients.Wait()
	})
	defer stopClients()
	problems := p.watch(t, map[string]float64{
		`sum_over_time(up{job="pgbailiff"}[1h])`:                                      100,
		`sum_over_time(pgbailiff_up[1h])`:                                             100,
		`count(count_over_time(pgbailiff_query_duration_seconds[1h]))`:                60,
		`count(count_over_time(pgbailiff_transaction_duration_seconds[1h]))`:          60,
		`count(count_over_time(pgbailiff_idle_in_transaction_duration_seconds[1h]))`:  5,
		`count(count_over_time(pgbailiff_lock_wait_duration_seconds[1h]))`:            5,
		`count(count_over_time(pgbailiff_blocked_backends[1h]))`:                      5,
		`count(count_over_time(pgbailiff_query_info[1h]))`:                            100,
		`max(max_over_time(pgbailiff_sessions_over_limit{family="transaction"}[1h]))`: 1,
	})
	stopClients()

	for problem, n := range problems {
		// A scrape that times out on a busy machine says nothing about samples.
		if !strings.Contains(problem, "context deadline exceeded") {
			t.Errorf("%d times: %s", n, problem)
		}
	}
	for metric, value := range p.rejected(t) {
		if value != 0 {
			t.Errorf("%s %g", metric, value)
		}
	}
	if logged := lines.String(); strings.Contains(logged, "Gathering metrics failed") {
		t.Errorf("logged:\n%s", logged)
	}
}

// runSessions opens sessions one after the other. Each runs a few scripts and
// closes.
func runSessions(t *testing.T, dsn string, stop <-chan struct{}) {
	ctx := context.Background()
	for {
		conn, err := pgx.Connect(ctx, dsn)
		if err != nil {
			t.Error(err)
			return
		}
		name := fmt.Sprintf("client %d \"\\\n", rand.IntN(100))
		_, err = conn.Exec(ctx, "select set_config('application_name', $1, false)", name)
		for range 1 + rand.IntN(4) {
			if err != nil {
				break
			}
			err = runScript(ctx, conn)
		}
		if err != nil {
			t.Error(err)
		}
		if err := conn.Close(ctx); err != nil {
			t.Error(err)
		}
		select {
		case <-stop:
			return
		default:
		}
	}
}

// runScript runs one of a few scripts, for up to two seconds. A lock_timeout ends
// waits before they become deadlocks.
func runScript(ctx context.Context, conn *pgx.Conn) error {
	takes := fmt.Sprintf("pg_sleep(%.3f)", rand.Float64()*2)
	script := [][]string{
		{"select " + takes},
		{"select " + takes + ` /* "quoted" \ and` + "\non two lines, ü */"},
		{"begin", "select 1", "select " + takes, "commit"},
		{"begin", "update stock set n = n + 1 where item = 1", "", "commit"},
		{"begin", "set local lock_timeout = '2s'", "update stock set n = n + 1 where item = 1", "", "rollback"},
		{"begin", "select 1/0", "", "rollback"},
	}[rand.IntN(6)]
	for _, sql := range script {
		if sql == "" { // stay idle in the transaction
			<-time.After(time.Duration(rand.IntN(1500)) * time.Millisecond)
			continue
		}
		_, err := conn.Exec(ctx, sql)
		if expected := strings.Contains(sql, "1/0") || strings.HasPrefix(sql, "update"); err != nil && !expected {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}
