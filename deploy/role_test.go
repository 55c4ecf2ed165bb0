package deploy_test

import (
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// TestRoleScriptNeedsNoSuperuser: on a managed service nobody is a superuser. There
// the administrator has CREATEROLE, and may grant the two roles.
func TestRoleScriptNeedsNoSuperuser(t *testing.T) {
	s := pgtest.Start(t)
	s.Exec(t,
		"CREATE ROLE cloudadmin LOGIN CREATEROLE",
		"GRANT pg_monitor, pg_signal_backend TO cloudadmin WITH ADMIN OPTION",
	)
	conn := s.Connect(t, "cloudadmin").PgConn()
	for range 2 {
		if _, err := conn.Exec(t.Context(), read(t, "role.sql")).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	for _, granted := range []string{"pg_monitor", "pg_signal_backend"} {
		if !pgtest.Value[bool](t, s, "SELECT pg_has_role('pgbailiff', $1, 'usage')", granted) {
			t.Errorf("the role is not a member of %s", granted)
		}
	}
}

// TestRoleScriptTakesPrivilegesAway: a role that was more than it should be is not
// afterwards.
func TestRoleScriptTakesPrivilegesAway(t *testing.T) {
	s := pgtest.Start(t)
	s.Exec(t, "CREATE ROLE pgbailiff SUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS NOINHERIT", read(t, "role.sql"))
	const privileges = "rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls OR NOT rolinherit OR NOT rolcanlogin"
	if pgtest.Value[bool](t, s, "SELECT "+privileges+" FROM pg_roles WHERE rolname = 'pgbailiff'") {
		t.Error("the role has a privileged attribute, or may not log in")
	}
}
