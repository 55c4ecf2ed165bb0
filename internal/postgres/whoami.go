package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var (
	//go:embed sql/whoami.sql
	whoamiSQL string
	//go:embed sql/system_identifier.sql
	systemIdentifierSQL string
	//go:embed sql/settings.sql
	settingsSQL string
)

// whoami is who we are on a connection's server, and which server it is.
type whoami struct {
	role             uint32 // oid of the role that logged in, even if another was set since
	systemIdentifier string // empty where our role may not read it
	started          time.Time
	address          string
}

// sameServer compares both the system identifier, because two servers can have
// been started at the same time, and the start: a standby has its primary's
// system identifier, and after a restart no session is the same.
func (w whoami) sameServer(other whoami) bool {
	if w.systemIdentifier != "" && other.systemIdentifier != "" && w.systemIdentifier != other.systemIdentifier {
		return false
	}
	return w.started.Equal(other.started)
}

func (w whoami) String() string {
	identifier := w.systemIdentifier
	if identifier == "" {
		identifier = "unknown"
	}
	return fmt.Sprintf("%s (system identifier %s, started %s)", w.address, identifier, w.started.UTC().Format(time.RFC3339Nano))
}

// setUp asks on a new connection who we are, and then makes our settings. It asks
// first, because a pooler may give a connection with our settings to another
// client. Until our settings are made, those of the role and the database hold.
// The transaction is read committed, because a standby refuses serializable ones.
func setUp(ctx context.Context, conn *pgx.Conn, p purpose) (whoami, error) {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	who := whoami{address: netConnOf(conn).address}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == protocolViolation {
		return whoami{}, fmt.Errorf("%w (%w)", errPooler, err) // one that pools statements
	}
	if err != nil {
		return whoami{}, fmt.Errorf("begin: %w", err)
	}
	var pid uint32
	var started int64
	var mayIdentify bool
	err = conn.QueryRow(ctx, whoamiSQL, pgx.QueryExecModeExec).Scan(&who.role, &pid, &started, &mayIdentify)
	if err != nil {
		return whoami{}, fmt.Errorf("ask for our own role: %w", err)
	}
	who.started = time.UnixMicro(started).UTC()
	if pid != conn.PgConn().PID() {
		return whoami{}, errPooler
	}
	names, values := settings(p)
	if _, err := conn.Exec(ctx, settingsSQL, pgx.QueryExecModeExec, names, values); err != nil {
		return whoami{}, fmt.Errorf("make our settings: %w", err)
	}
	if err := tx.Commit(ctx); err != nil {
		return whoami{}, fmt.Errorf("make our settings: %w", err)
	}
	if mayIdentify {
		if err := conn.QueryRow(ctx, systemIdentifierSQL, pgx.QueryExecModeExec).Scan(&who.systemIdentifier); err != nil {
			return whoami{}, fmt.Errorf("ask for the system identifier: %w", err)
		}
	}
	return who, nil
}
