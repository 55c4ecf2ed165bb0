package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// listen takes connections, and closes them, until the test ends.
func listen(t *testing.T, network, address string) net.Addr {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return l.Addr()
}

func TestKnock(t *testing.T) {
	closed := door{"127.0.0.1", uint16(proctest.FreePort(t))}
	open := door{"127.0.0.1", uint16(listen(t, "tcp", "127.0.0.1:0").(*net.TCPAddr).Port)}
	dir := t.TempDir()
	socket := door{dir, 5432}
	if err := knockAt(t, closed, socket); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, ".s.PGSQL.5432")) {
		t.Errorf("nobody is there: %v", err)
	}
	listen(t, "unix", filepath.Join(dir, ".s.PGSQL.5432"))
	for name, all := range map[string][]door{"none": nil, "one": {open}, "the last": {closed, socket}, "a name": {{"localhost", open.port}}} {
		if err := knockAt(t, all...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	var d doors
	d.set([]door{open}, t0)
	if err := d.knock(ended, time.Minute, t0); err == nil {
		t.Error("knocked although the context had ended")
	}
	d.set([]door{closed}, t0)
	for after, whole := range map[time.Duration]bool{wholeAttemptEvery - 1: false, wholeAttemptEvery: true} {
		if err := d.knock(t.Context(), time.Minute, t0.Add(after)); (err == nil) != whole {
			t.Errorf("a whole attempt after %s: %v, want %v", after, err == nil, whole)
		}
	}
}

func knockAt(t *testing.T, all ...door) error {
	t.Helper()
	var d doors
	d.set(all, t0)
	return d.knock(t.Context(), time.Minute, t0)
}

// An attempt says where nobody was. Once somebody takes the connection, it says
// nothing, even if that is no PostgreSQL.
func TestAnAttemptThatReachesNobodySaysWhere(t *testing.T) {
	closed := proctest.FreePort(t)
	open := listen(t, "tcp", "127.0.0.1:0").(*net.TCPAddr).Port
	for dsn, want := range map[string][]door{
		fmt.Sprintf("postgresql://a@127.0.0.1:%d/x", closed):                                    {{"127.0.0.1", uint16(closed)}},
		fmt.Sprintf("host=db.invalid hostaddr=127.0.0.1 port=%d user=a", closed):                {{"127.0.0.1", uint16(closed)}},
		fmt.Sprintf("host=127.0.0.1,/nowhere port=%d,5432 user=a", closed):                      {{"127.0.0.1", uint16(closed)}, {"/nowhere", 5432}},
		fmt.Sprintf("host=127.0.0.1,127.0.0.1 port=%d,%d user=a sslmode=disable", closed, open): nil,
		fmt.Sprintf("postgresql://a@127.0.0.1:%d/x", open):                                      nil,
	} {
		conn, nobody, err := Config{DSN: dsn}.open(t.Context(), "")
		if conn != nil || err == nil || !slices.Equal(nobody, want) {
			t.Errorf("%s: nobody at %v, want %v (%v)", dsn, nobody, want, err)
		}
	}
}

// An attempt that nobody waits for only knocks where nobody was before. One that an
// alert waits for is a whole one.
func TestAnAlertDoesNotOnlyKnock(t *testing.T) {
	srv := pgtest.Start(t)
	s, err := New(Config{Name: "orders", DSN: srv.DSN("monsig")}, NewDials(16), log.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	s.doors.set([]door{{"127.0.0.1", uint16(proctest.FreePort(t))}}, time.Now())
	if _, _, err := s.connectOnce(t.Context(), forAction); !errors.Is(err, session.ErrUnreachable) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("an attempt that nobody waits for: %v", err)
	}
	s.Start()
	defer s.Close()
	if _, _, err := s.Find(t.Context(), 1); err != nil {
		t.Errorf("an attempt that an alert waits for: %v", err)
	}
	if s.doors.closed.Load() != nil {
		t.Error("the next attempt would only knock")
	}
}
