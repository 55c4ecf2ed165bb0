package postgres

import (
	"context"
	"reflect"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// query sends a statement of ours, which it prepares first if need be.
func query(ctx context.Context, conn *pgx.Conn, sql string, args ...any) (pgx.Rows, error) {
	if err := prepare(ctx, conn, sql); err != nil {
		return nil, err
	}
	return conn.Query(ctx, sql, args...)
}

// prepare prepares a statement of ours, unless it has been prepared. Its
// description is shared with the other connections.
func prepare(ctx context.Context, conn *pgx.Conn, sql string) error {
	described, err := conn.Prepare(ctx, sql, sql)
	if err != nil {
		return err
	}
	shapesOf(conn).share(described)
	return nil
}

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
	columns := rows.FieldDescriptions()
	for rows.Next() {
		if targets == nil {
			fields, err := shapesOf(rows.Conn()).fieldsOf(reflect.TypeFor[T](), columns)
			if err != nil {
				return err
			}
			to := reflect.ValueOf(&row).Elem()
			targets = make([]any, 0, len(fields))
			for _, index := range fields {
				targets = append(targets, to.FieldByIndex(index).Addr().Interface())
			}
		}
		if !decodeRow(columns, rows.RawValues(), targets) {
			if err := rows.Scan(targets...); err != nil {
				return err
			}
		}
		do(row)
	}
	return rows.Err()
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
