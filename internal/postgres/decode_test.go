package postgres

import (
	"reflect"
	"testing"

	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// What decodeRow stores is what pgx's Scan stores, for each type and at its ends.
// What it does not know it leaves to pgx.
func TestDecodeIsThatOfPgx(t *testing.T) {
	conn := pgtest.Start(t).Connect(t, "app")
	known := map[string]any{
		"''::text": new(string), "E'a\\nä'::text": new(string), "'idle'::text": new(session.State),
		"true": new(bool), "false": new(bool),
		"2147483647::int4": new(int32), "'-2147483648'::int4": new(int32), "4294967295::oid": new(uint32),
		"9223372036854775807::int8": new(int64), "'-9223372036854775808'::int8": new(int64),
		"'-1.5e300'::float8": new(float64), "'infinity'::float8": new(float64),
		"'2026-11-22 12:05:54.871475+01'::timestamptz": new(zeronull.Timestamptz),
		"'1969-12-31 23:59:59.999999+00'::timestamptz": new(zeronull.Timestamptz),
		"'1999-12-31 23:59:59.999999+00'::timestamptz": new(zeronull.Timestamptz),
		"'4000-01-01 BC'::timestamptz":                 new(zeronull.Timestamptz),
		"null::timestamptz":                            new(zeronull.Timestamptz),
	}
	unknown := map[string]any{
		"null::text": new(string), "null::int4": new(int32), "1::int4": new(int64), "1::int2": new(int32), "'n'::name": new(string),
		"'x'::text": new(*string), "null::text ": new(*string), "'infinity'::timestamptz": new(zeronull.Timestamptz), "1::int8": new(uint32),
		"1.5::float4": new(float64), "1": new(bool), "'t'::text": new(bool),
	}
	check := func(sql string, to any, want bool) {
		t.Helper()
		rows, err := conn.Query(t.Context(), "select "+sql)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		defer rows.Close()
		if !rows.Next() {
			t.Fatalf("%s: %v", sql, rows.Err())
		}
		if got := decodeRow(rows.FieldDescriptions(), rows.RawValues(), []any{to}); got != want {
			t.Errorf("%s into %T: decoded %v, want %v", sql, to, got, want)
		}
		if !want {
			return
		}
		other := reflect.New(reflect.TypeOf(to).Elem())
		if err := rows.Scan(other.Interface()); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		if got, want := reflect.ValueOf(to).Elem().Interface(), other.Elem().Interface(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, pgx has %v", sql, got, want)
		}
	}
	for sql, to := range known {
		check(sql, to, true)
	}
	for sql, to := range unknown {
		check(sql, to, false)
	}
}
