package postgres_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// pgtestNow is the server's clock.
func pgtestNow(t *testing.T, srv *pgtest.Server) time.Time {
	t.Helper()
	return pgtest.Value[time.Time](t, srv, "select clock_timestamp()")
}

// Any user may run a statement whose bytes are not valid in our database's encoding,
// or in any. From every database the session is found and signalled, and its text
// is read in its own database's encoding.
func TestFindAndSignalWithAnyEncoding(t *testing.T) {
	srv := pgtest.Start(t)
	ours := []string{"EUC_JP", "EUC_CN", "EUC_KR", "EUC_TW", "MULE_INTERNAL", "WIN1252", "LATIN1", "LATIN2", "KOI8R", "SQL_ASCII", "UTF8"}
	createDatabases(t, srv, ours...)
	srv.Exec(t, `create role "rôle" login`)
	for _, encoding := range ours {
		t.Run(encoding, func(t *testing.T) {
			dsn := strings.Replace(srv.DSN("monsig"), "/postgres?", "/"+strings.ToLower(encoding)+"?", 1)
			s, err := postgres.New(postgres.Config{Name: "orders", DSN: dsn}, postgres.NewDials(16), log.NewNopLogger())
			if err != nil {
				t.Fatal(err)
			}
			s.Start()
			t.Cleanup(s.Close)
			for _, tc := range []struct{ database, bytes, want string }{
				{"sql_ascii", "\xff\xfe\x81\xe9\xa0 \x8f", "\ufffd \ufffd"},
				{"sql_ascii", "\x8e' \x8f' \xa4' cluster", "\ufffd' \ufffd' \ufffd' cluster"},
				{"latin1", "caf\xe9 \x81", "caf\u00e9 \u0081"},
				{"utf8", "\u017c\u00f3\u0142\u0107 \u20ac \u6f22\u5b57 \u0081", "\u017c\u00f3\u0142\u0107 \u20ac \u6f22\u5b57 \u0081"},
				{"koi8r", "\xc4\xc1", "\u0434\u0430"},
				{"euc_jp", "\xbb\xb3\xc5\xc4", "\u5c71\u7530"},
			} {
				c := srv.Open(t, "rôle", inDatabase(tc.database))
				c.Exec(t, "begin")
				c.Start(t, "select pg_sleep(60) -- "+tc.bytes)
				seen := find(t, s, c)
				if want := "select pg_sleep(60) -- " + tc.want; seen.Query != want || seen.Datname != tc.database {
					t.Errorf("%s % x: found %q in %q, want %q", tc.database, tc.bytes, seen.Query, seen.Datname, want)
				}
				if !utf8.ValidString(seen.Usename) {
					t.Errorf("the role %q is no valid text", seen.Usename)
				}
				want := session.VerdictSignalled
				if strings.Contains(tc.bytes, "cluster") {
					want = session.VerdictUnjudged
				}
				got, err := s.Signal(proctest.Deadline(t), session.Cancel, byTransaction(seen))
				if err != nil || got.Verdict != want {
					t.Errorf("%s % x: %+v, %v; want %s", tc.database, tc.bytes, got, err, want)
				}
			}
		})
	}
}

// The bytes of a role's name are read in our database's encoding, as the server
// would do it.
func TestARolesNameIsReadInOurDatabasesEncoding(t *testing.T) {
	srv := pgtest.Start(t)
	createDatabases(t, srv, "LATIN1")
	admin := srv.Open(t, "postgres", inDatabase("latin1"))
	admin.Exec(t, "create role \"r\xf4le\" login")
	c := srv.Run(t, "r\xf4le", "select pg_sleep(60)", inDatabase("latin1"))
	s, err := postgres.New(postgres.Config{Name: "orders", DSN: strings.Replace(srv.DSN("monsig"), "/postgres?", "/latin1?", 1)}, postgres.NewDials(16), log.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Close)
	if seen := find(t, s, c); seen.Usename != "r\u00f4le" {
		t.Errorf("the role is %q", seen.Usename)
	}
}
