package pgledger

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// What is read every second and what goes through all lines must not read what is
// too old or too young: the tables of a fleet are large.
func TestTimesAreFoundByAnIndex(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	if err := Migrate(t.Context(), ledger.Postgres{DSN: server.DSN("postgres")}); err != nil {
		t.Fatal(err)
	}
	conn := server.Connect(t, "postgres")
	if _, err := conn.Exec(t.Context(), "set enable_seqscan = off"); err != nil { // the tables are small
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		sql, cond string
		args      pgx.NamedArgs
	}{
		"the copy":      {copySpentSQL, "Index Cond: (begun_at > ", pgx.NamedArgs{"window": firstWindow}},
		"the retention": {cleanEntriesSQL, `Index Cond: ("time" < `, pgx.NamedArgs{"age": answersKept, "most": cleanAtOnce}},
	} {
		rows, err := conn.Query(t.Context(), "explain (costs off) "+tc.sql, tc.args)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(plan, "\n"); !strings.Contains(all, tc.cond) {
			t.Errorf("%s reads more than it needs:\n%s", name, all)
		}
	}
}

// The last lines are read every second. Their plan is made for any parameters, and
// must not go through all lines.
func TestTheLastLinesAreFoundByAnIndex(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	if err := Migrate(t.Context(), ledger.Postgres{DSN: server.DSN("postgres")}); err != nil {
		t.Fatal(err)
	}
	server.Exec(t,
		`insert into pgbailiff.entries (time, entry) select now() - n * interval '1 s', '{"event":"outcome","server":"s"}' from generate_series(1, 20000) as n`,
		"analyze pgbailiff.entries")
	conn := server.Connect(t, "postgres")
	sql, _, err := pgx.NamedArgs{}.RewriteQuery(t.Context(), conn, copyRecentSQL, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"set plan_cache_mode = force_generic_plan", "prepare last as " + sql} {
		if _, err := conn.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	read := func(sql string) []string {
		t.Helper()
		rows, err := conn.Query(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			t.Fatal(err)
		}
		all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) { return string(row.RawValues()[0]), nil })
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if plan := strings.Join(read("explain (costs off) execute last ('{}')"), "\n"); strings.Contains(plan, "Seq Scan on entries") {
		t.Errorf("it reads all lines:\n%s", plan)
	}
	if n := len(read("execute last ('{}')")); n != maxRecent {
		t.Errorf("%d lines", n)
	}
}
