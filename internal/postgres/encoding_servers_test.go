package postgres_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-kit/log"
	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
)

// raw is an option of pgtest: the server does not convert what the session sends.
func raw(c *pgx.ConnConfig) { c.RuntimeParams["client_encoding"] = "SQL_ASCII" }

// Any user may run a statement whose bytes are not valid in our database's encoding,
// because the activity shows each text in the encoding of its own database. A
// scrape from any database has the sessions of all databases.
func TestAScrapeReadsEveryEncoding(t *testing.T) {
	srv := pgtest.Start(t, "max_prepared_transactions=1")
	encodings := []string{"LATIN2", "KOI8R", "ISO_8859_5", "EUC_JP", "EUC_CN", "EUC_KR", "WIN1252", "LATIN1", "SQL_ASCII"}
	for _, encoding := range encodings {
		srv.Exec(t, "create database "+strings.ToLower(encoding)+" encoding '"+encoding+"' lc_collate 'C' lc_ctype 'C' template template0")
	}
	srv.Exec(t, `create role "rôle" login`, `create database "naïve"`)
	srv.Open(t, "postgres", database("latin1"), raw).Exec(t, "create database \"caf\xe9\"")
	srv.Open(t, "app", database("caf\xe9")).Exec(t, "begin; prepare transaction 'p'")
	clients, texts := map[string]*pgtest.Client{}, map[string]string{}
	for name, where := range map[string]struct{ database, bytes, text string }{
		"any bytes": {"sql_ascii", "\xff\xfe\x81\xe9\xa0 \x8f\xa1", "-- "},
		"LATIN1":    {"latin1", "caf\xe9 \x81", "-- café"},
		"UTF-8":     {"naïve", "żółć € 漢字 \u0081", "-- żółć € 漢字"},
	} {
		texts[name+", idle in transaction"], texts[name+", waiting"] = where.text, where.text
		c := srv.Open(t, "rôle", database(where.database), raw)
		c.Exec(t, "begin; select pg_advisory_xact_lock(1) -- "+where.bytes)
		clients[name+", idle in transaction"] = c
		c = srv.Blocked(t, "rôle", "select pg_advisory_xact_lock(1) -- "+where.bytes, database(where.database), raw)
		clients[name+", waiting"] = c
	}
	for _, encoding := range append(encodings, "postgres") {
		t.Run(encoding, func(t *testing.T) {
			dsn := strings.Replace(srv.DSN("monsig"), "/postgres?", "/"+strings.ToLower(encoding)+"?", 1)
			s, err := postgres.New(postgres.Config{Name: "orders", DSN: dsn}, postgres.NewDials(16), log.NewNopLogger())
			if err != nil {
				t.Fatal(err)
			}
			s.Start()
			t.Cleanup(s.Close)
			got := snapshot(t, s)
			for name, c := range clients {
				row, has := sessionOf(got, c)
				if !has || !strings.Contains(row.Query, "select pg_advisory_xact_lock(1) "+texts[name]) {
					t.Errorf("%s: %t, %q", name, has, row.Query)
				}
				for _, text := range []string{row.Query, row.Datname, row.Usename} {
					if !utf8.ValidString(text) {
						t.Errorf("%s: %q is no valid UTF-8", name, text)
					}
				}
			}
			if len(got.LockWaits) != 3 || len(got.Blockers) != 3 {
				t.Errorf("lock waits: %+v\nblockers: %+v", got.LockWaits, got.Blockers)
			}
			for _, w := range got.LockWaits {
				if !utf8.ValidString(w.Query + w.Datname + w.Usename) {
					t.Errorf("a lock wait is no valid UTF-8: %q", w.Query)
				}
			}
			for _, b := range got.Blockers {
				if !utf8.ValidString(b.Query + b.Datname + b.Usename) {
					t.Errorf("a blocker is no valid UTF-8: %q", b.Query)
				}
			}
			if len(got.Facts.Prepared) != 1 || !utf8.ValidString(got.Facts.Prepared[0].Datname) {
				t.Errorf("prepared: %+v", got.Facts.Prepared)
			}
			for _, name := range got.Databases {
				if !utf8.ValidString(name) {
					t.Errorf("the database %q is no valid UTF-8", name)
				}
			}
		})
	}
}

// PostgreSQL converts a statement, with its comments, to the database's encoding. A
// letter that is missing there makes the statement fail.
func TestEveryStatementIsASCII(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("sql", "*.sql"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if strings.ContainsFunc(line, func(r rune) bool { return r >= utf8.RuneSelf }) {
				t.Errorf("%s:%d: %s", file, i+1, line)
			}
		}
	}
}
