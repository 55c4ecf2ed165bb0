package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// handed are the servers that Start hands from one test to the next. A server
// that was not written to and that has no session left differs from a new one by
// its age only, and a new one costs a tenth of a second of CPU.
var handed handedOn

type handedOn struct {
	mu      sync.Mutex
	on      bool // a test's end may leave a server
	servers []*Server
}

// HandOn has the tests of a package hand their servers on, for its TestMain:
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.HandOn(m)) }
//
// A test hands on a server that it started without settings and left as new, see
// asNew. Any other server ends with its test, as all do without HandOn.
func HandOn(m interface{ Run() int }) interface{ Run() int } { return handingOn{m} }

type handingOn struct{ m interface{ Run() int } }

func (h handingOn) Run() int {
	handed.allow(true)
	defer handed.allow(false)
	return h.m.Run()
}

// allow(false) ends the servers that are left.
func (h *handedOn) allow(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.on = on
	if on {
		return
	}
	for _, s := range h.servers {
		if err := s.end(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	h.servers = nil
}

func (h *handedOn) allowed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.on
}

// take returns a server of that installation, or nil.
func (h *handedOn) take(in installation) *Server {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, s := range h.servers {
		if s.in.bin == in.bin {
			h.servers = append(h.servers[:i], h.servers[i+1:]...)
			return s
		}
	}
	return nil
}

// leave keeps a server for the next test if that is wanted and the server is as
// new. The test that leaves it has no use of it any more.
func (h *handedOn) leave(s *Server) bool {
	if !h.allowed() || !s.asNew(10*time.Second) {
		return false
	}
	next := &Server{
		in: s.in, dir: s.dir, port: s.port, major: s.major, postmaster: s.postmaster, exited: s.exited, lock: s.lock,
		new: s.new, logged: s.logged + int64(len(s.Log())),
	}
	s.mu.Lock()
	next.admin, s.admin = s.admin, nil
	s.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.servers = append(h.servers, next)
	return true
}

// traces are what a test leaves on a server. The sessions are not among them: the
// server that is handed on has none.
type traces struct {
	// xid is the next transaction ID. Every transaction that writes takes one,
	// so with the same one there is no object, role, setting of a role or row
	// that was not there before.
	xid int64
	// slots are for replication. They take no transaction ID.
	slots int
	// files are the names in the server's directories, and the age of its settings.
	files string
}

const readTraces = `
	select pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint,
		(select pg_catalog.count(*) from pg_catalog.pg_replication_slots)`

// endAll ends all sessions but ours, and counts those that are there yet, with the
// processes that work for them. The launchers, the writers and the checkpointer
// are on a new server too.
const endAll = `
	select pg_catalog.count(pg_catalog.pg_terminate_backend(pid))
	from pg_catalog.pg_stat_get_activity(null) where pid <> pg_catalog.pg_backend_pid() and backend_type not in
		('autovacuum launcher', 'logical replication launcher', 'background writer', 'checkpointer', 'walwriter', 'io worker')`

// asNew ends the sessions and tells whether the server is as it was when it was
// new: with no settings of the test's, never stopped, and without traces. A session
// that does not end within patience is one.
func (s *Server) asNew(patience time.Duration) bool {
	if s.new == nil || s.disturbed.Load() || s.t.Failed() {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// First those that may hold a lock that the superuser would wait for. What the test
	// has set in the superuser's session ends with that.
	s.release()
	if s.endOthers(ctx) != nil || s.connectAdmin(ctx) != nil || s.endOthers(ctx) != nil {
		return false
	}
	left, err := s.traces(ctx)
	return err == nil && left == *s.new
}

// endOthers ends all sessions but the superuser's, and waits until they are gone.
func (s *Server) endOthers(ctx context.Context) error {
	return s.withAdmin(ctx, func(ctx context.Context, admin *pgx.Conn) error {
		return proctest.Poll(ctx, 2*time.Millisecond, func() error {
			var there int
			if err := admin.QueryRow(ctx, endAll).Scan(&there); err != nil {
				return proctest.Final(err)
			}
			if there > 0 {
				return errors.New("sessions are there yet")
			}
			return nil
		})
	})
}

func (s *Server) traces(ctx context.Context) (traces, error) {
	var found traces
	err := s.withAdmin(ctx, func(ctx context.Context, admin *pgx.Conn) error {
		return admin.QueryRow(ctx, readTraces).Scan(&found.xid, &found.slots)
	})
	if err != nil {
		return found, err
	}
	var files strings.Builder
	for _, dir := range []string{s.dir, s.data()} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return found, err
		}
		for _, entry := range entries {
			fmt.Fprintln(&files, entry.Name())
			if filepath.Ext(entry.Name()) != ".conf" {
				continue
			}
			info, err := entry.Info()
			if err != nil {
				return found, err
			}
			fmt.Fprintln(&files, info.Size(), info.ModTime().UnixNano())
		}
	}
	found.files = files.String()
	return found, nil
}
