package postgres

import (
	"fmt"
	"reflect"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// shapes are the columns of our statements and the fields that they go to. They are
// the same on every server of a version, so all connections share them: with
// thousands of connections they would take tens of megabytes.
type shapes struct {
	mu      sync.Mutex // guards the rest
	fields  map[reflect.Type]fields
	columns map[string][]pgconn.FieldDescription // by statement
	params  map[string][]uint32                  // by statement
}

// fields are the indices of the fields of a struct, in the order of the columns
// that they were looked up for.
type fields struct {
	columns []string
	indices [][]int
}

func newShapes() *shapes {
	return &shapes{
		fields: map[reflect.Type]fields{}, columns: map[string][]pgconn.FieldDescription{}, params: map[string][]uint32{},
	}
}

// shapesKey is where a connection has its shapes.
const shapesKey = "pgbailiff.shapes"

// shapesOf returns the connection's shapes: those that attachTo has given it, or
// ones of its own.
func shapesOf(conn *pgx.Conn) *shapes {
	data := conn.PgConn().CustomData()
	s, ok := data[shapesKey].(*shapes)
	if !ok {
		s = newShapes()
		data[shapesKey] = s
	}
	return s
}

func (s *shapes) attachTo(conn *pgx.Conn) { conn.PgConn().CustomData()[shapesKey] = s }

// share makes a description of a statement use the memory of an equal one. Nobody
// changes a description.
func (s *shapes) share(described *pgconn.StatementDescription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sql := described.SQL
	if slices.Equal(s.columns[sql], described.Fields) {
		described.Fields = s.columns[sql]
	}
	if slices.Equal(s.params[sql], described.ParamOIDs) {
		described.ParamOIDs = s.params[sql]
	}
	s.columns[sql], s.params[sql] = described.Fields, described.ParamOIDs
}

// fieldsOf returns the index of the field of each column. To look it up costs more
// than to read a row.
func (s *shapes) fieldsOf(row reflect.Type, columns []pgconn.FieldDescription) ([][]int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.fields[row]
	if ok && slices.EqualFunc(known.columns, columns, func(name string, c pgconn.FieldDescription) bool { return name == c.Name }) {
		return known.indices, nil
	}
	found, err := lookUpFields(row, columns)
	if err != nil {
		return nil, err
	}
	s.fields[row] = found
	return found.indices, nil
}

// lookUpFields matches the columns with the db tags of the struct.
func lookUpFields(row reflect.Type, columns []pgconn.FieldDescription) (fields, error) {
	tagged := map[string][]int{}
	for _, f := range reflect.VisibleFields(row) {
		if name, ok := f.Tag.Lookup("db"); ok {
			tagged[name] = f.Index
		}
	}
	var found fields
	for _, column := range columns {
		index, ok := tagged[column.Name]
		if !ok {
			return fields{}, fmt.Errorf("%s has no field for the column %s", row, column.Name)
		}
		found.columns, found.indices = append(found.columns, column.Name), append(found.indices, index)
		delete(tagged, column.Name)
	}
	for name := range tagged {
		return fields{}, fmt.Errorf("the statement returns no column %s for %s", name, row)
	}
	return found, nil
}
