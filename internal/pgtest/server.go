// Package pgtest gives tests real PostgreSQL servers, and sessions on them
// that misbehave on demand.
//
// Each test has servers of its own. A server starts in well under a second, from
// a copy of a cluster that was initialised once. It listens on a port and a
// socket of its own, and ends with the test, even when the test is killed; or
// the next test gets it, if it is as new: see HandOn.
//
// Every server has these roles, all of which log in without a password:
//
//	postgres, super1   superusers
//	mon                pg_monitor
//	sig                pg_signal_backend
//	monsig             pg_monitor and pg_signal_backend
//	nopriv             nothing
//	app, app2, etl     ordinary users who may create tables in public
//	repl               may replicate
//
// One idle session of postgres with the application name "pgtest-admin" is
// there from the start: it answers WaitFor and Exec even when every other
// connection slot is taken.
package pgtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// Server is a PostgreSQL server of one test. Its methods are for the test's
// goroutine, but Exec and WaitFor, which any goroutine may call.
type Server struct {
	t     testing.TB // the server ends with this test
	in    installation
	dir   string // of data, socket and log
	port  proctest.Port
	major int

	clients []*Client // those that end with the server

	new       *traces     // of the server when it was new; nil if it is not handed on
	disturbed atomic.Bool // it was stopped, or made to hang
	logged    int64       // how much of the log is about earlier tests

	postmaster *exec.Cmd
	exited     chan struct{} // closed when the postmaster has been waited for
	lock       *os.File      // held while dir is in use: see sweep

	mu    sync.Mutex // guards admin, also while it waits for an answer
	admin *pgx.Conn  // nil while the server is stopped
}

// Start starts a server with these settings ("name=value", any of
// postgresql.conf's) and stops it when the test ends.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	in, err := findInstallation(t.Context())
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	handOn := len(settings) == 0 && handed.allowed()
	if handOn {
		if s := handed.take(in); s != nil {
			s.t = t
			t.Cleanup(s.remove)
			return s
		}
	}
	s := &Server{t: t, in: in}
	t.Cleanup(s.remove)
	if err := s.create(t.Context(), settings); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	if err := s.launchSomewhere(t.Context()); err != nil {
		t.Fatalf("pgtest: %v\n%s", err, s.Log())
	}
	if handOn {
		traces, err := s.traces(t.Context())
		if err != nil {
			t.Fatalf("pgtest: %v", err)
		}
		s.new = &traces
	}
	return s
}

// create makes the directory and the cluster in it.
func (s *Server) create(ctx context.Context, settings []string) (err error) {
	if s.dir, s.lock, err = makeDir(s.in); err != nil {
		return err
	}
	if err := os.WriteFile(s.logFile(), nil, 0o644); err != nil {
		return err
	}
	if err := s.in.copyTemplate(ctx, s.data()); err != nil {
		return err
	}
	version, err := os.ReadFile(filepath.Join(s.data(), "PG_VERSION"))
	if err != nil {
		return err
	}
	if s.major, err = strconv.Atoi(strings.TrimSpace(string(version))); err != nil {
		return fmt.Errorf("PG_VERSION: %w", err)
	}

	conf := []string{
		"listen_addresses=127.0.0.1", "unix_socket_directories=" + s.dir,
		"fsync=off", "full_page_writes=off", "shared_buffers=16MB", "jit=off",
		"log_line_prefix=%m [%p] %c %q%u@%d %a ", "timezone=UTC", "log_timezone=UTC",
	}
	conf = append(conf, settings...)
	f, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, setting := range conf {
		name, value, ok := strings.Cut(setting, "=")
		if !ok {
			return fmt.Errorf("the setting %q is not of the form name=value", setting)
		}
		if _, err := fmt.Fprintf(f, "%s = '%s'\n", strings.TrimSpace(name), strings.ReplaceAll(value, "'", "''")); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) logFile() string { return filepath.Join(s.dir, "server.log") }

// DSN is the URL with which user connects over TCP.
func (s *Server) DSN(user string) string {
	return fmt.Sprintf("postgresql://%s@%s:%d/postgres?sslmode=disable", user, s.Host(), s.Port())
}

// Host is the address that the server listens on.
func (s *Server) Host() string { return "127.0.0.1" }

// Port stays the same over Restart.
func (s *Server) Port() int { return s.port.Number }

// SocketDir is the directory of the server's unix socket: libpq's PGHOST.
func (s *Server) SocketDir() string { return s.dir }

// Major is the server's major version: 14 to 18.
func (s *Server) Major() int { return s.major }

// Bin is the directory of the server's programs. Not every build has more
// than initdb, pg_ctl and postgres.
func (s *Server) Bin() string { return s.in.bin }

// PID is the postmaster's. Who asks for it may do anything to it.
func (s *Server) PID() int {
	s.disturbed.Store(true)
	return s.postmaster.Process.Pid
}

// Log is what the server has logged since Start.
func (s *Server) Log() string {
	text, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(text[min(s.logged, int64(len(text))):])
}

// Stop shuts the server down in fast mode: every session ends with 57P01.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	s.shutdown(t, syscall.SIGINT)
}

// Kill shuts the server down in immediate mode: every session loses its
// connection, and the next start runs crash recovery.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	s.shutdown(t, syscall.SIGQUIT)
}

// Restart starts the server again, on the same port, after a Stop if it runs.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop(t)
	if err := s.launch(t.Context()); err != nil {
		t.Fatalf("pgtest: %v\n%s", err, s.Log())
	}
}

// Pause stops the postmaster's process: open sessions continue; the kernel
// accepts a new connection, which then hangs.
func (s *Server) Pause(t testing.TB) {
	t.Helper()
	s.signal(t, syscall.SIGSTOP)
}

// Resume ends a Pause.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	s.signal(t, syscall.SIGCONT)
}

func (s *Server) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	s.disturbed.Store(true)
	if err := s.postmaster.Process.Signal(sig); err != nil {
		t.Fatalf("pgtest: send %v to the postmaster: %v", sig, err)
	}
}
