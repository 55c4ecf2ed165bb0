package postgres

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

type pairRow struct {
	N int32 `db:"n"`
	timeRow
}

type timeRow struct {
	At zeronull.Timestamptz `db:"at"`
}

// readPairs reads the rows of a statement as pairRows.
func readPairs(t *testing.T, conn *pgx.Conn, sql string) (read []pairRow, _ error) {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	err = readRows(rows, func(r pairRow) { read = append(read, r) })
	return read, err
}

// The order of the columns does not matter, and NULL leaves nothing of the row
// before it.
func TestReadRowsByTheColumnsNames(t *testing.T) {
	conn := pgtest.Start(t).Connect(t, "app")
	got, err := readPairs(t, conn,
		"select timestamptz '2026-11-22 12:05:54.871475+01' as at, 1 as n union all select null, 2 order by n")
	if err != nil {
		t.Fatal(err)
	}
	want := []time.Time{t0, {}}
	for i, r := range got {
		if int(r.N) != i+1 || utc(r.At) != want[i] {
			t.Errorf("row %d: %d at %s, want %s", i, r.N, utc(r.At), want[i])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d rows", len(got))
	}
}

func TestReadRowsRefusesAStatementThatDoesNotFit(t *testing.T) {
	conn := pgtest.Start(t).Connect(t, "app")
	for sql, want := range map[string]string{
		"select 1 as n":                                           "the statement returns no column at for postgres.pairRow",
		"select 1 as n, now() as at, 2 as more":                   "postgres.pairRow has no field for the column more",
		"select 1 as n, 2 as n, now() as at":                      "postgres.pairRow has no field for the column n",
		"select null::int as n, now() as at":                      "cannot scan NULL into *int32",
		"select 1/(n-1) as n, now() as at from (select 1 as n) x": "division by zero",
	} {
		if got, err := readPairs(t, conn, sql); err == nil || !strings.Contains(err.Error(), want) || got != nil {
			t.Errorf("%s: %v, %v; want %q", sql, got, err, want)
		}
	}
}

// BenchmarkReadRows compares ways to read a thousand sessions of a snapshot.
func BenchmarkReadRows(b *testing.B) {
	conn := pgtest.Start(b).Connect(b, "app")
	const sql = `select n::int4 as pid, 1::int8 as sessions, now() as backend_start, 'shop'::text as datname,
		'app'::text as usename, 'reports'::text as application_name, '127.0.0.1'::text as client_addr,
		'client backend'::text as backend_type, false as own, false as hidden, 'active'::text as state,
		now() as query_start, now() as xact_start, now() as state_change, 'Client'::text as wait_event_type,
		'ClientRead'::text as wait_event, 42::int8 as query_id, 'select 1'::text as query, 'UTF8'::text as encoding,
		now() as now
		from generate_series(1, 1000) as n`
	for name, read := range map[string]func(pgx.Rows) (int, error){
		"readRows": func(rows pgx.Rows) (n int, _ error) {
			return n, readRows(rows, func(snapshotRow) { n++ })
		},
		"pgx by name": func(rows pgx.Rows) (int, error) {
			all, err := pgx.CollectRows(rows, pgx.RowToStructByName[snapshotRow])
			return len(all), err
		},
		"by hand": func(rows pgx.Rows) (n int, _ error) {
			var r snapshotRow
			_, err := pgx.ForEachRow(rows, []any{
				&r.PID, &r.Sessions, &r.BackendStart, &r.Datname, &r.Usename, &r.ApplicationName, &r.ClientAddr,
				&r.BackendType, &r.Own, &r.Hidden, &r.State, &r.QueryStart, &r.XactStart, &r.StateChange,
				&r.WaitEventType, &r.WaitEvent, &r.QueryID, &r.Query, &r.Encoding, &r.Now,
			}, func() error { n++; return nil })
			return n, err
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rows, err := conn.Query(context.Background(), sql)
				if err != nil {
					b.Fatal(err)
				}
				if n, err := read(rows); err != nil || n != 1000 {
					b.Fatalf("%d rows, %v", n, err)
				}
			}
		})
	}
}
