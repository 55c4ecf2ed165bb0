package pgledger

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

//go:embed sql/export.sql
var exportSQL string

// exportAtOnce is how many lines are read at a time.
const exportAtOnce = 1000

// Export writes the lines of the ledger, in order, as a file ledger has them: those
// of this time and later or, with the zero time, all. They are those of one instant.
func Export(ctx context.Context, to ledger.Postgres, since time.Time, w io.Writer) error {
	err := session(ctx, to, func(conn *pgx.Conn) error {
		options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
		return pgx.BeginTxFunc(ctx, conn, options, func(tx pgx.Tx) error {
			after := int64(-1)
			for {
				n, last, err := exportSome(ctx, tx, after, since, w)
				if err != nil || n < exportAtOnce {
					return err
				}
				after = last
			}
		})
	})
	if err != nil {
		return fmt.Errorf("export the ledger: %w", err)
	}
	return nil
}

// exportSome writes some lines, and returns how many and the last one's place.
func exportSome(ctx context.Context, tx pgx.Tx, after int64, since time.Time, w io.Writer) (n int, last int64, _ error) {
	args := pgx.NamedArgs{"after": after, "since": nil, "most": exportAtOnce}
	if !since.IsZero() {
		args["since"] = since
	}
	rows, err := tx.Query(ctx, exportSQL, args)
	if err != nil {
		return 0, 0, err
	}
	var at time.Time
	var line []byte
	_, err = pgx.ForEachRow(rows, []any{&last, &at, &line}, func() error {
		n++
		e, err := decode(at, line)
		if err != nil {
			return err
		}
		_, err = w.Write(append(marshal(e), '\n'))
		return err
	})
	return n, last, err
}
