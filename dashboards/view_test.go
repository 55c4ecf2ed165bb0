package dashboards_test

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// TestViewHasEveryKey: the view pgbailiff.decisions has a column for each key of a
// line, but for those that only a question has.
func TestViewHasEveryKey(t *testing.T) {
	schema, err := os.ReadFile("../internal/ledger/pgledger/migrations/0001.sql")
	if err != nil {
		t.Fatal(err)
	}
	s := pgtest.Start(t)
	s.Exec(t, string(schema))
	got := pgtest.Value[[]string](t, s, `
		select array_agg(column_name::text order by column_name::text collate "C") from information_schema.columns
		where table_schema = 'pgbailiff' and table_name = 'decisions'`)
	want := []string{"seq"} // the order of the lines
	question := reflect.TypeFor[ledger.Question]()
	for _, f := range reflect.VisibleFields(reflect.TypeFor[ledger.Entry]()) {
		_, asked := question.FieldByName(f.Name)
		if !f.Anonymous && !asked {
			key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			want = append(want, key)
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the columns of the view (-keys of a line +columns):\n%s", diff)
	}
}
