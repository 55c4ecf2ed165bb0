package postgres_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// at returns a started Server with this connection string.
func at(t testing.TB, format string, args ...any) *postgres.Server {
	t.Helper()
	s, err := postgres.New(postgres.Config{Name: "orders", DSN: fmt.Sprintf(format, args...)}, postgres.NewDials(16), log.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// started is the start of the postmaster. The servers of a test differ in it: they
// have the same system identifier.
func started(t testing.TB, srv *pgtest.Server) time.Time {
	t.Helper()
	return pgtest.Value[time.Time](t, srv, "select pg_postmaster_start_time()")
}

// mustBeOn fails unless both connections lead to the server.
func mustBeOn(t testing.TB, s *postgres.Server, srv *pgtest.Server) {
	t.Helper()
	c := srv.Open(t, "app")
	if found := find(t, s, c); found.BackendStart.IsZero() || !found.BackendStart.Equal(c.Activity(t).BackendStart) {
		t.Errorf("acting is on another server: %+v", found)
	}
	got, err := s.Snapshot(proctest.Deadline(t), session.SnapshotOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if want := started(t, srv); !got.Facts.PostmasterStart.Equal(want) {
		t.Errorf("scraping is on a server that was started at %s, want %s", got.Facts.PostmasterStart, want)
	}
}

// silent returns a port that accepts connections and never answers.
func silent(t testing.TB) int {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() }) // the kernel accepts
	return listener.Addr().(*net.TCPAddr).Port
}

func TestAHostThatIsDeadLeavesTimeForTheNext(t *testing.T) {
	pg := pgtest.Start(t)
	for name, s := range map[string]*postgres.Server{
		"silent":       at(t, "host=127.0.0.1,127.0.0.1 port=%d,%d user=monsig dbname=postgres", silent(t), pg.Port()),
		"closed":       at(t, "postgresql://monsig@127.0.0.1:1,127.0.0.1:%d/postgres", pg.Port()),
		"no such name": at(t, "postgresql://monsig@nowhere.invalid:1,127.0.0.1:%d/postgres?sslmode=disable", pg.Port()),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustBeOn(t, s, pg)
		})
	}
}

func TestTargetSessionAttrs(t *testing.T) {
	writes, reads := pgtest.Start(t), pgtest.Start(t, "default_transaction_read_only=on")
	for attrs, hosts := range map[string][2]*pgtest.Server{ // the second is the one that is wanted
		"read-write":     {reads, writes},
		"read-only":      {writes, reads},
		"prefer-standby": {writes, reads}, // there is none: pgx takes the last
	} {
		t.Run(attrs, func(t *testing.T) {
			s := at(t, "host=127.0.0.1,127.0.0.1 port=%d,%d user=monsig dbname=postgres sslmode=disable target_session_attrs=%s",
				hosts[0].Port(), hosts[1].Port(), attrs)
			mustBeOn(t, s, hosts[1])
		})
	}
}

// An address may lead to one server now and to another a moment later. Scrapes must
// be of the server that the action connection is on.
func TestBothConnectionsLeadToOneServer(t *testing.T) {
	a, b := pgtest.Start(t), pgtest.Start(t)
	p := newProxy(t, a)
	s := at(t, "host=127.0.0.1 port=%d user=monsig dbname=postgres sslmode=disable", p.port())
	find(t, s, a.Open(t, "app")) // acting is on a
	p.lead(b)
	_, err := s.Snapshot(proctest.Deadline(t), session.SnapshotOptions{})
	if !errors.Is(err, session.ErrUnreachable) {
		t.Fatalf("scraping another server: %v", err)
	}
	for _, srv := range []*pgtest.Server{a, b} {
		if when := started(t, srv).UTC().Format(time.RFC3339Nano); !strings.Contains(err.Error(), when) {
			t.Errorf("the server that was started at %s is not named: %v", when, err)
		}
	}
	p.lead(a)
	mustBeOn(t, s, a)

	p.lead(b) // scraping is on a as well, and stays
	mustBeOn(t, s, a)
	p.cut()
	mustBeOn(t, s, b)
}

// When the action connection is opened anew and leads to another server, the scrape
// connection is closed, although it works.
func TestTheScrapeConnectionFollowsTheActionConnection(t *testing.T) {
	a, b := pgtest.Start(t), pgtest.Start(t)
	p := newProxy(t, a)
	s := at(t, "host=127.0.0.1 port=%d user=monsig dbname=postgres sslmode=disable", p.port())
	find(t, s, a.Open(t, "app"))
	const ours = "select pid from pg_stat_activity where application_name = 'pgbailiff'"
	acting := pgtest.Value[int32](t, a, ours)
	mustBeOn(t, s, a)
	p.lead(b)
	a.Exec(t, fmt.Sprintf("select pg_terminate_backend(%d)", acting))
	a.WaitFor(t, "select not "+itoa(int(acting))+" in ("+ours+")")
	mustBeOn(t, s, b)
}

func TestARestartedServerIsScrapedAtOnce(t *testing.T) {
	pg := pgtest.Start(t)
	s := at(t, "host=127.0.0.1 port=%d user=monsig dbname=postgres sslmode=disable", pg.Port())
	mustBeOn(t, s, pg)
	pg.Restart(t)
	got, err := s.Snapshot(proctest.Deadline(t), session.SnapshotOptions{})
	if err != nil || !got.Facts.PostmasterStart.Equal(started(t, pg)) {
		t.Errorf("%v, %+v", err, got.Facts)
	}
	mustBeOn(t, s, pg)
}
