package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// fleet is several replicas of pgbailiff with one configuration, one ledger in
// PostgreSQL, and HAProxy before them.
type fleet struct {
	t        testing.TB
	dir      string // of the configuration, the token and the logs
	ledger   *pgtest.Server
	replicas []*replica
	url      string // of HAProxy
}

// replica is one of them. It keeps its port over its lives.
type replica struct {
	fleet   *fleet
	port    int
	name    string
	lives   int
	process *proctest.Process
}

// newFleet makes the ledger's database and the files. The configuration is what
// is beside the token and the ledger: the list of servers, and of "remediation"
// the keys beside mode and ledger.
func newFleet(t testing.TB, replicas int, servers, remediation string) *fleet {
	t.Helper()
	f := &fleet{t: t, dir: t.TempDir(), ledger: pgtest.Start(t, "max_connections=200")}
	f.ledger.Exec(t, "create role pgbailiff_ledger login", "grant create on database postgres to pgbailiff_ledger")
	write(t, f.dir, "token", loopToken+"\n")
	write(t, f.dir, "pgbailiff.yml", fmt.Sprintf(`
%s
collector: {min_duration: 0s, targets: probe}
webhook: {credentials_file: token}
people: {operators: ["*"], user_header: X-Forwarded-User, trusted_proxies: [127.0.0.1]}
remediation:
  mode: enforce
  ledger: {postgres: {dsn: %q}}
%s`, servers, f.ledger.DSN("pgbailiff_ledger"), remediation))
	migrate := startPgbailiff(t, f.dir, "ledger", "migrate", "--config.file=pgbailiff.yml")
	if status := migrate.Wait(); status != 0 {
		t.Fatalf("pgbailiff ledger migrate: %d\n%s", status, migrate.Output())
	}
	for i := range replicas {
		f.replicas = append(f.replicas, &replica{fleet: f, port: proctest.FreePort(t), name: fmt.Sprint("replica", i)})
	}
	return f
}

// start starts the replicas and HAProxy, and returns when each of them is ready.
func (f *fleet) start() {
	f.t.Helper()
	for _, r := range f.replicas {
		r.start()
	}
	for _, r := range f.replicas {
		r.awaitReady()
	}
	f.balance()
}

// start starts a replica, which is not ready yet.
func (r *replica) start() {
	r.fleet.t.Helper()
	r.lives++
	r.process = proctest.Start(r.fleet.t, proctest.Command{
		Path: proctest.Find(r.fleet.t, "pgbailiff"), Dir: r.fleet.dir, Name: fmt.Sprintf("%s-%d", r.name, r.lives),
		Args: []string{"--config.file=pgbailiff.yml", "--web.listen-address=" + r.address()},
	})
}

func (r *replica) address() string { return fmt.Sprintf("127.0.0.1:%d", r.port) }

func (r *replica) url() string { return "http://" + r.address() }

func (r *replica) awaitReady() {
	r.fleet.t.Helper()
	awaitReady(r.fleet.t, r.process, r.url())
}

// ready reports whether the replica answers.
func (r *replica) ready() bool {
	ctx, cancel := context.WithTimeout(r.fleet.t.Context(), time.Second)
	defer cancel()
	answer, err := proctest.Fetch(ctx, http.MethodGet, r.url()+"/-/ready", nil)
	return err == nil && answer.Status == http.StatusOK
}

// awaitReady waits until /-/ready is answered with 200.
func awaitReady(t testing.TB, p *proctest.Process, url string) {
	t.Helper()
	proctest.Eventually(t, p.Name()+" to be ready", func() error {
		select {
		case <-p.Exited():
			return proctest.Final(fmt.Errorf("it has ended\n%s", p.Output()))
		default:
		}
		_, err := proctest.Get(t, url+"/-/ready")
		return err
	})
}

// haproxyConfig sends each request to the next replica that listens. A request
// that could not be sent goes to another one.
const haproxyConfig = `
global
  maxconn 4000
defaults
  mode http
  timeout connect 1s
  timeout check 10s
  timeout client 2m
  timeout server 2m
  retries 3
  option redispatch
frontend fleet
  bind 127.0.0.1:%d
  default_backend replicas
backend replicas
  balance roundrobin
  option httpchk GET /-/ready
  default-server check inter 200ms fall 1 rise 1
`

// balance starts HAProxy and returns when it has found a replica.
func (f *fleet) balance() {
	f.t.Helper()
	port := proctest.FreePort(f.t)
	f.url = fmt.Sprintf("http://127.0.0.1:%d", port)
	var config strings.Builder
	fmt.Fprintf(&config, haproxyConfig, port)
	for _, r := range f.replicas {
		fmt.Fprintf(&config, "  server %s %s\n", r.name, r.address())
	}
	write(f.t, f.dir, "haproxy.cfg", config.String())
	p := proctest.Start(f.t, proctest.Command{
		Path: proctest.Find(f.t, "haproxy"), Dir: f.dir, Args: []string{"-db", "-f", "haproxy.cfg"},
		AnyStatus: true, // that of a signal
	})
	awaitReady(f.t, p, f.url)
}

// metric is the value of a series at a replica, as it is written there; "" where
// there is no such series.
func (r *replica) metric(series string) string {
	r.fleet.t.Helper()
	text, err := proctest.Get(r.fleet.t, r.url()+"/metrics")
	if err != nil {
		r.fleet.t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// eachShows waits until a series has this value at each replica.
func (f *fleet) eachShows(series, value string) {
	f.t.Helper()
	for _, r := range f.replicas {
		proctest.Eventually(f.t, fmt.Sprintf("%s %s at %s", series, value, r.name), func() error {
			if got := r.metric(series); got != value {
				return fmt.Errorf("it is %q", got)
			}
			return nil
		})
	}
}
