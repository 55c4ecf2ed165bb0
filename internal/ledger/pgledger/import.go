package pgledger

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

var (
	//go:embed sql/import_before.sql
	importBeforeSQL string
	//go:embed sql/import_known.sql
	importKnownSQL string
	//go:embed sql/import_signals.sql
	importSignalsSQL string
	//go:embed sql/import_server.sql
	importServerSQL string
	//go:embed sql/import_question.sql
	importQuestionSQL string
)

// Errors of Import. Nothing was taken in then.
var (
	errHasLines = errors.New("the ledger in PostgreSQL has lines already; if these shall come to them, pass --append")
	errTwice    = errors.New("the ledger in PostgreSQL has lines of this file already; a file is taken in once")
	errChanged  = errors.New("the file has changed meanwhile; stop the pgbailiff that writes it first")
)

// importAtOnce is how many lines are sent at a time.
const importAtOnce = 1000

// Import takes a file ledger in, in one transaction: its lines, and what holds after
// the last of them. What is under way in the file counts as failed. With add the
// ledger may have lines already, but none of this file.
func Import(ctx context.Context, to ledger.Postgres, file string, add bool) (contents ledger.Contents, err error) {
	was, err := os.Stat(file)
	if err == nil {
		err = session(ctx, to, func(conn *pgx.Conn) error {
			return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) (err error) {
				contents, err = (&intake{tx: tx}).file(ctx, file, add)
				if is, statErr := os.Stat(file); err == nil && (statErr != nil || is.Size() != was.Size() || !is.ModTime().Equal(was.ModTime())) {
					err = errors.Join(errChanged, statErr)
				}
				return err
			})
		})
	}
	if err != nil {
		return ledger.Contents{}, fmt.Errorf("import %s: %w", file, err)
	}
	return contents, nil
}

// intake is one import.
type intake struct {
	tx     pgx.Tx
	before int64 // the last line of the ledger before
	lines  []ledger.Entry
}

func (in *intake) file(ctx context.Context, path string, add bool) (contents ledger.Contents, err error) {
	if _, err := in.tx.Exec(ctx, questionsLockSQL); err != nil {
		return contents, err
	}
	if err := in.tx.QueryRow(ctx, importBeforeSQL).Scan(&in.before); err != nil {
		return contents, err
	}
	if in.before > 0 && !add {
		return contents, errHasLines
	}
	contents, err = ledger.ReadFile(path, time.Now(), func(e ledger.Entry) error {
		in.lines = append(in.lines, e)
		if len(in.lines) < importAtOnce {
			return nil
		}
		return in.flush(ctx)
	})
	if err != nil {
		return contents, err
	}
	if err := in.flush(ctx); err != nil {
		return contents, err
	}
	return contents, in.state(ctx, contents)
}

// flush sends the lines that were read.
func (in *intake) flush(ctx context.Context) error {
	times, lines := make([]time.Time, len(in.lines)), make([][]byte, len(in.lines))
	for i, e := range in.lines {
		times[i], lines[i] = e.Time, encode(e)
	}
	in.lines = in.lines[:0]
	if in.before > 0 {
		known := false
		args := pgx.NamedArgs{"times": times, "lines": lines, "before": in.before}
		if err := in.tx.QueryRow(ctx, importKnownSQL, args).Scan(&known); err != nil {
			return err
		}
		if known {
			return errTwice
		}
	}
	_, err := in.tx.CopyFrom(ctx, pgx.Identifier{"pgbailiff", "entries"}, []string{"time", "entry"},
		pgx.CopyFromSlice(len(lines), func(i int) ([]any, error) { return []any{times[i], lines[i]}, nil }))
	return err
}

// state adds what holds after the last line.
func (in *intake) state(ctx context.Context, c ledger.Contents) error {
	b := &pgx.Batch{}
	var ids, servers []string
	var times []time.Time
	for _, s := range c.Spent {
		ids, servers, times = append(ids, withoutNULs(s.ID)), append(servers, withoutNULs(s.Server)), append(times, s.At)
	}
	b.Queue(importSignalsSQL, pgx.NamedArgs{"ids": ids, "servers": servers, "times": times, "owner": "import"})
	for server, state := range c.Servers {
		var resumed *time.Time
		if !state.Resumed.IsZero() {
			resumed = &state.Resumed
		}
		b.Queue(importServerSQL, pgx.NamedArgs{"server": withoutNULs(server), "suspended": state.Suspended, "resumed": resumed})
	}
	for _, e := range c.Waiting {
		in.question(b, e, e.Until, nil)
	}
	denied := string(ledger.EventDenied)
	for _, e := range c.Denied {
		in.question(b, e, e.Time, &denied)
	}
	return in.tx.SendBatch(ctx, b).Close()
}

func (in *intake) question(b *pgx.Batch, e ledger.Entry, until time.Time, answer *string) {
	b.Queue(importQuestionSQL, pgx.NamedArgs{
		"id": withoutNULs(e.ID), "server": withoutNULs(e.Server), "target": targetOf(e), "action": withoutNULs(string(e.Action)),
		"time": e.Time, "until": until, "answer": answer, "line": encode(e),
	})
}
