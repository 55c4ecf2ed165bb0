package postgres

import (
	"slices"
	"testing"

	"github.com/go-kit/log"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

func TestConnectionsShareWhatTheirStatementsReturn(t *testing.T) {
	srv, dials := pgtest.Start(t), NewDials(16)
	var facts [2]*pgconn.StatementDescription
	for i := range facts {
		s, err := New(Config{Name: "orders", DSN: srv.DSN("monsig")}, dials, log.NewNopLogger())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		if err := s.scrape.open(proctest.Deadline(t)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.scrape.close)
		if _, err := s.scrape.readActivity(proctest.Deadline(t), all); err != nil {
			t.Fatal(err)
		}
		if facts[i], err = s.scrape.conn.Prepare(proctest.Deadline(t), factsSQL, factsSQL); err != nil {
			t.Fatal(err)
		}
	}
	if &facts[0].Fields[0] != &facts[1].Fields[0] {
		t.Error("the description of a statement is in memory twice")
	}
}

// Servers of two versions may describe a statement differently.
func TestADifferentDescriptionIsNotShared(t *testing.T) {
	s := newShapes()
	describe := func(column string) *pgconn.StatementDescription {
		d := &pgconn.StatementDescription{SQL: "select", ParamOIDs: []uint32{23}, Fields: []pgconn.FieldDescription{{Name: column}}}
		s.share(d)
		return d
	}
	a, b := describe("a"), describe("b")
	if a.Fields[0].Name != "a" || b.Fields[0].Name != "b" || !slices.Equal(b.ParamOIDs, []uint32{23}) {
		t.Errorf("%+v, %+v", a, b)
	}
}
