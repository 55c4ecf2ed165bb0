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
			var err error
			if targets, err = scanTargets(rows.FieldDescriptions(), &row); err != nil {
				return err
			}
		}
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		do(row)
	}
	return rows.Err()
}

// scanTargets returns for each column the address of its field in the struct.
func scanTargets(columns []pgconn.FieldDescription, to any) ([]any, error) {
	fields := taggedFields(nil, reflect.ValueOf(to).Elem())
	targets := make([]any, len(columns))
	for i, column := range columns {
		f := slices.IndexFunc(fields, func(f taggedField) bool { return f.tag == column.Name && !f.taken })
		if f < 0 {
			return nil, fmt.Errorf("%T has no field for the column %s", to, column.Name)
		}
		targets[i], fields[f].taken = fields[f].address, true
	}
	for _, f := range fields {
		if !f.taken {
			return nil, fmt.Errorf("the statement returns no column %s for %T", f.tag, to)
		}
	}
	return targets, nil
}

// taggedField is a field with a db tag.
type taggedField struct {
	tag     string
	address any
	taken   bool // by a column
}

// taggedFields appends the struct's fields with a db tag, and those of the structs
// that it embeds.
func taggedFields(fields []taggedField, of reflect.Value) []taggedField {
	for i := range of.NumField() {
		f := of.Type().Field(i)
		if f.Anonymous {
			fields = taggedFields(fields, of.Field(i))
		} else if tag, tagged := f.Tag.Lookup("db"); tagged {
			fields = append(fields, taggedField{tag: tag, address: of.Field(i).Addr().Interface()})
		}
	}
	return fields
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
