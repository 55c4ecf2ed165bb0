package postgres

import (
	"errors"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

var t0 = time.Date(2026, 11, 22, 11, 5, 54, 871475000, time.UTC)

// A remembered name is used only if it cannot be wrong.
func TestRememberedNamesThatMayBeWrongAreNotUsed(t *testing.T) {
	const datid, usesysid = 16384, 16385
	read := names{
		databases: map[uint32]database{datid: {name: "shop", encoding: "LATIN1", readAt: t0}},
		roles:     map[uint32]role{usesysid: {name: "boss", superuser: true, readAt: t0}},
	}
	session0 := func(begun, seen time.Duration) session.Found {
		return session.Found{Session: session.Session{ID: session.ID{BackendStart: t0.Add(begun)}, Query: "caf\xe9"}, SeenAt: t0.Add(seen)}
	}
	for name, tc := range map[string]struct {
		s               session.Found
		datid, usesysid uint32
		known           bool
	}{
		"read while it was there":           {session0(-time.Hour, time.Second), datid, usesysid, true},
		"read as it began":                  {session0(0, time.Second), datid, usesysid, true},
		"the database may be another's now": {session0(time.Microsecond, time.Second), datid, usesysid, false},
		"the role was read a minute ago":    {session0(-time.Hour, maxRoleAge), datid, usesysid, true},
		"the role may have changed since":   {session0(-time.Hour, maxRoleAge+time.Microsecond), datid, usesysid, false},
		"the server's clock was set back":   {session0(-time.Hour, -time.Microsecond), datid, usesysid, false},
		"another database":                  {session0(-time.Hour, time.Second), datid + 1, usesysid, false},
		"another role":                      {session0(-time.Hour, time.Second), datid, usesysid + 1, false},
		"a background process has neither":  {session0(-time.Hour, time.Hour), 0, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, of := tc.s, oids{tc.datid, tc.usesysid}
			err := read.reliableFor(tc.s, of).fillIn(&got, of, "UTF8")
			want := tc.s
			switch {
			case !tc.known:
				if !errors.Is(err, session.ErrUnreachable) {
					t.Errorf("%v", err)
				}
			case tc.datid == 0:
				want.Superuser, want.Query = session.No, "caf\ufffd"
			default:
				want.Datname, want.Usename, want.Superuser, want.Query = "shop", "boss", session.Yes, "caf\u00e9"
			}
			if tc.known != (err == nil) {
				t.Errorf("%v", err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if err := new(names).fillIn(new(session.Found), oids{datid, usesysid}, ""); !errors.Is(err, session.ErrUnreachable) {
		t.Errorf("the zero names: %v", err)
	}
}

// A server whose catalogue is locked is reachable: a ping succeeds without the names.
func TestPingWhileACatalogueIsLocked(t *testing.T) {
	srv := pgtest.Start(t)
	s, err := New(Config{Name: "orders", DSN: srv.DSN("monsig")}, NewDials(16), log.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Close)
	locker := srv.Open(t, "super1")
	if err := s.action.ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	locker.Exec(t, "begin; lock pg_catalog.pg_database")
	if err := s.action.ping(t.Context()); err != nil {
		t.Error(err)
	}
}
