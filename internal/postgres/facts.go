package postgres

import (
	_ "embed"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

//go:embed sql/facts.sql
var factsSQL string

// factsRow is a row of facts.sql: the facts, and one database's prepared
// transactions.
type factsRow struct {
	MaxConnections  int64                `db:"max_connections"`
	InRecovery      bool                 `db:"in_recovery"`
	PostmasterStart zeronull.Timestamptz `db:"postmaster_start"`
	Clock           zeronull.Timestamptz `db:"clock"`
	TextBytes       int64                `db:"text_bytes"`
	Version         string               `db:"version"`
	Role            string               `db:"role"`
	CanSignal       bool                 `db:"can_signal"`
	CanSee          bool                 `db:"can_see"`
	Datname         *string              `db:"datname"` // nil: there are no prepared transactions
	Prepared        int64                `db:"prepared"`
	Oldest          float64              `db:"oldest"`
}

// readFacts reads the rows of facts.sql: what the server is and what we may do
// there. It returns the server's clock when the statement began.
func (c *scrapeConn) readFacts(rows pgx.Rows, to *session.Snapshot) (clock time.Time, _ error) {
	encoding := encodingOf(c.conn)
	var prepared []session.Prepared
	if err := readRows(rows, func(r factsRow) {
		clock = utc(r.Clock)
		to.Facts = session.Facts{
			SystemIdentifier: c.whoami.systemIdentifier,
			MaxConnections:   r.MaxConnections,
			InRecovery:       r.InRecovery,
			PostmasterStart:  utc(r.PostmasterStart),
			TextBytes:        r.TextBytes,
			Version:          r.Version,
			Role:             validText(encoding, r.Role),
			CanSignal:        r.CanSignal,
			CanSee:           r.CanSee,
		}
		if r.Datname != nil {
			prepared = append(prepared, session.Prepared{Datname: validText(encoding, *r.Datname), Count: r.Prepared, Oldest: r.Oldest})
		}
	}); err != nil {
		return clock, err
	}
	to.Facts.Prepared = prepared
	c.logPrivileges(to.Facts)
	return clock, nil
}
