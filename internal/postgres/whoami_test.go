package postgres_test

import (
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// A role that may not read the system identifier can do everything else.
func TestWithoutTheSystemIdentifier(t *testing.T) {
	pg := pgtest.Start(t)
	pg.Exec(t, "revoke execute on function pg_control_system() from public")
	s := at(t, "host=127.0.0.1 port=%d user=monsig dbname=postgres sslmode=disable", pg.Port())
	mustBeOn(t, s, pg)
	if got := snapshot(t, s).Facts.SystemIdentifier; got != "" {
		t.Errorf("the system identifier is %q", got)
	}
	c := pg.Run(t, "app", "select pg_sleep(60)")
	if got := find(t, s, c).SystemIdentifier; got != "" {
		t.Errorf("a session is found on the server %q", got)
	}
	pg.Exec(t, "grant execute on function pg_control_system() to monsig")
	with := at(t, "host=127.0.0.1 port=%d user=monsig dbname=postgres sslmode=disable", pg.Port())
	want := pgtest.Value[string](t, pg, "select system_identifier::text from pg_control_system()")
	if got := snapshot(t, with).Facts.SystemIdentifier; got != want {
		t.Errorf("the system identifier is %q, want %q", got, want)
	}
	if got := find(t, with, c).SystemIdentifier; got != want {
		t.Errorf("a session is found on the server %q, want %q", got, want)
	}
}

// PostgreSQL checks the privileges of the current role, and shows the role that
// logged in.
func TestPrivilegesOfARoleThatWasSet(t *testing.T) {
	pg := pgtest.Start(t)
	pg.Exec(t,
		"create role gains login noinherit in role monsig", "create role loses login in role monsig, nopriv",
		"alter role loses set role = nopriv",
	)
	for _, tt := range []struct {
		login, options, privileged string
		can                        bool
	}{
		{"gains", "", "gains", false},
		{"gains", "options='-c role=monsig'", "monsig", true},
		{"loses", "", "nopriv", false},
		{"loses", "options='-c role=monsig'", "monsig", true},
	} {
		t.Run(tt.login+" "+tt.options, func(t *testing.T) {
			s := at(t, "host=127.0.0.1 port=%d user=%s dbname=postgres sslmode=disable %s", pg.Port(), tt.login, tt.options)
			target := pg.Run(t, "app", "select pg_sleep(60)")
			facts := snapshot(t, s).Facts
			if facts.CanSee != tt.can || facts.CanSignal != tt.can || facts.Role != tt.privileged {
				t.Errorf("may see: %t, may signal: %t, role %s; want %t, %t, %s",
					facts.CanSee, facts.CanSignal, facts.Role, tt.can, tt.can, tt.privileged)
			}
			a := target.Activity(t)
			got, err := s.Signal(proctest.Deadline(t), session.Cancel, session.Fence{
				Server: "orders", PID: int32(target.PID()), BackendStart: a.BackendStart, QueryStart: a.QueryStart,
			})
			if sent := err == nil && got.Verdict == session.VerdictSignalled; sent != tt.can {
				t.Errorf("signalled: %+v, %v", got, err)
			}
			ours := pgtest.Value[int32](t, pg, "select max(pid) from pg_stat_activity where application_name = 'pgbailiff' and usename = $1", tt.login)
			own, ok, err := s.Find(proctest.Deadline(t), ours)
			if err != nil || !ok || own.Own != session.Yes || own.Usename != tt.login {
				t.Errorf("our own session: %+v, %t, %v", own, ok, err)
			}
		})
	}
}
