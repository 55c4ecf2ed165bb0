package pgledger

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

//go:embed sql/patient.sql
var patientSQL string

// session is a connection for one command of a person.
func session(ctx context.Context, to ledger.Postgres, f func(*pgx.Conn) error) error {
	config, err := connConfig(to)
	if err != nil {
		return fmt.Errorf("remediation.ledger.postgres.dsn: %w", err)
	}
	if err := readPassword(to, config); err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := setUp(ctx, conn); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, patientSQL); err != nil {
		return err
	}
	return f(conn)
}
