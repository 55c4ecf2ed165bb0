package querytext_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/querytext"
)

func TestCommandIsTheFirstKeywordInUpperCase(t *testing.T) {
	for text, want := range map[string]string{
		"select 1": "SELECT", "/* c */ -- d\n\tSelect 1": "SELECT", "(select 1) union (select 2)": "SELECT",
		"with x as (select 1) insert into t select * from x": "WITH", "select*from t": "SELECT", `select"a"`: "SELECT",
		"select/* c */1": "SELECT", "copy t from stdin": "COPY", "fetch 100 from c": "FETCH", "insert into t values (1)": "INSERT",
		"call f()": "CALL", "do $$begin end$$": "DO", "explain analyze select 1": "EXPLAIN", "VALUES (1)": "VALUES",
		"table t": "TABLE", "lock table t": "LOCK", "refresh materialized view v": "REFRESH", "; select 1": "SELECT",
		"": "", ";": "", "/* c */": "", "/* a /* b */ c */ select 1": "SELECT", "ſelect 1": "", "select\r1": "SELECT", "-- c\rselect 1": "SELECT",
	} {
		readings := querytext.Read(text, false)
		if len(readings) != 1 || readings[0].Command() != want {
			t.Errorf("%q: %+v, want the command %q", text, readings, want)
		}
	}
}

func TestReadSplitsTextIntoStatements(t *testing.T) {
	type statement = querytext.Statement
	for text, want := range map[string][]statement{
		"":                         {{}},
		"begin":                    {{Words: []string{"BEGIN"}}},
		"begin;":                   {{Words: []string{"BEGIN"}}, {}},
		" ;; begin ; /* ; */ ;end": {{Words: []string{"BEGIN"}}, {Words: []string{"END"}}},
		`"a";'b'`:                  {{Names: true}, {Others: true}},
		"drop index a.b":           {{Words: []string{"DROP", "INDEX", "A", "B"}, Names: true}},
		`alter table "a"`:          {{Words: []string{"ALTER", "TABLE"}, Names: true}},
		"vacuum(full)":             {{Words: []string{"VACUUM", "FULL"}, Others: true}},
		"select $1":                {{Words: []string{"SELECT"}, Others: true}},
		"select 1e5, 0xFF, 1_0":    {{Words: []string{"SELECT"}, Others: true}},
		"select $a$ ; b $a$":       {{Words: []string{"SELECT"}, Others: true}},
		strings.Repeat("a ", 100):  {{Words: strings.Split(strings.Repeat("A", querytext.MaxWords), "")}},
	} {
		got := querytext.Read(text, false)
		if diff := cmp.Diff([]querytext.Reading{{Statements: want}}, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func TestReadReturnsEveryReadingThatPostgreSQLMayHaveRun(t *testing.T) {
	for _, tt := range []struct {
		text      string
		truncated bool
		readings  []int // the number of statements in each reading
	}{
		{"select 1; commit", false, []int{2}},
		{`select '\d'; commit`, false, []int{2, 2}},
		{`select '\'; commit`, false, []int{2}},  // with standard_conforming_strings = on
		{`select '\'; commit'`, false, []int{1}}, // with off
		{`select '\' "`, false, nil},             // with neither
		{`select '\'; commit --'`, false, []int{2, 1}},
		{"select 'a", false, nil},
		{"select 'a", true, []int{1}},
		{`select "a`, false, nil},
		{"select /* a", false, nil},
		{"select $$a", false, nil},
		{"select $$a", true, []int{1}},
		{`select '\'; commit`, true, []int{2, 1}},
	} {
		var got []int
		for _, r := range querytext.Read(tt.text, tt.truncated) {
			got = append(got, len(r.Statements))
		}
		if diff := cmp.Diff(tt.readings, got); diff != "" {
			t.Errorf("%q, truncated %t (-want +got):\n%s", tt.text, tt.truncated, diff)
		}
	}
}
