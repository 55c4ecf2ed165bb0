package postgres

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// readRows calls do with each row of a statement. Each column goes to the field
// of T that has its name as db tag; a column without a field, or a field without
// a column, is an error.
//
// pgx.RowToStructByName does the same, but looks up the fields anew for each row.
// That doubles what a snapshot of many sessions costs us.
func readRows[T any](rows pgx.Rows, do func(T)) error {
	defer rows.Close()
	var row T
	var targets []any
	for rows.Next() {
		if targets == nil {
			fields, err := fieldsOf[T](rows)
			if err != nil {
				return err
			}
			to := reflect.ValueOf(&row).Elem()
			for _, index := range fields {
				targets = append(targets, to.FieldByIndex(index).Addr().Interface())
			}
		}
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		do(row)
	}
	return rows.Err()
}

// fields are the indices of the fields of a struct, in the order of the columns
// that they were looked up for.
type fields struct {
	columns []string
	indices [][]int
}

// fieldsOf returns the index of the field of each column. The connection
// remembers it: to look it up costs more than to read a row.
func fieldsOf[T any](rows pgx.Rows) ([][]int, error) {
	columns := rows.FieldDescriptions()
	row := reflect.TypeFor[T]()
	remembered, key := rows.Conn().PgConn().CustomData(), "fields of "+row.Name()
	known, ok := remembered[key].(fields)
	if ok && slices.EqualFunc(known.columns, columns, func(name string, c pgconn.FieldDescription) bool { return name == c.Name }) {
		return known.indices, nil
	}
	found, err := lookUpFields(row, columns)
	if err != nil {
		return nil, err
	}
	remembered[key] = found
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

// utc is a time as package session has it: in UTC, and zero for NULL.
func utc(t zeronull.Timestamptz) time.Time { return time.Time(t).UTC() }

// activityRow is what every statement about a backend returns.
type activityRow struct {
	BackendStart zeronull.Timestamptz `db:"backend_start"`
	State        session.State        `db:"state"`
	QueryStart   zeronull.Timestamptz `db:"query_start"`
	XactStart    zeronull.Timestamptz `db:"xact_start"`
	StateChange  zeronull.Timestamptz `db:"state_change"`
}

func (r activityRow) activity(waitEventType string) session.Activity {
	return session.Activity{
		State:         r.State,
		QueryStart:    utc(r.QueryStart),
		XactStart:     utc(r.XactStart),
		StateChange:   utc(r.StateChange),
		WaitEventType: waitEventType,
	}
}

// sessionRow is what the statements that read whole sessions have in common.
// Their texts are as the server has them: see validText.
type sessionRow struct {
	PID int32 `db:"pid"`
	activityRow
	ApplicationName string `db:"application_name"`
	ClientAddr      string `db:"client_addr"`
	BackendType     string `db:"backend_type"`
	Own             bool   `db:"own"`
	WaitEventType   string `db:"wait_event_type"`
	WaitEvent       string `db:"wait_event"`
	QueryID         int64  `db:"query_id"`
	Query           string `db:"query"`
}

func (r sessionRow) session(server string) session.Session {
	return session.Session{
		ID:              session.ID{Server: server, PID: r.PID, BackendStart: utc(r.BackendStart)},
		ApplicationName: r.ApplicationName,
		ClientAddr:      r.ClientAddr,
		BackendType:     r.BackendType,
		Activity:        r.activity(r.WaitEventType),
		WaitEvent:       r.WaitEvent,
		QueryID:         r.QueryID,
		Query:           r.Query,
	}
}

// scrapedRow is a session as the scrape connection reads it, with its names.
type scrapedRow struct {
	sessionRow
	Datname  string `db:"datname"`
	Usename  string `db:"usename"`
	Encoding string `db:"encoding"` // of its database, and so of its statement's text
}

// session returns the session with valid texts. namesEncoding is that of the
// database that we are connected to. In a fastpath call the server shows the
// previous statement's query_start, which is dropped.
func (r scrapedRow) session(server, namesEncoding string) session.Session {
	s := r.sessionRow.session(server)
	s.Datname = validText(namesEncoding, r.Datname)
	s.Usename = validText(namesEncoding, r.Usename)
	s.Query = validText(r.Encoding, r.Query)
	if s.State == session.StateFastpath {
		s.QueryStart = time.Time{}
	}
	return s
}
