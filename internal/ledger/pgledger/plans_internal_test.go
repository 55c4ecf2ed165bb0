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
