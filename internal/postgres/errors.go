package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// SQLSTATEs that mean something else than "the server could not be asked".
const (
	insufficientPrivilege = "42501"
	lockNotAvailable      = "55P03"
	protocolViolation     = "08P01"
	undefinedObject       = "42704"
)

// classify says what an error of a statement means for the one who asked. An
// error that PostgreSQL itself reported stays what it is, unless it says that
// the server or our connection is going away.
func classify(err error) error {
	if err == nil {
		return nil
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		if pgconn.SafeToRetry(err) {
			err = unsent{err}
		}
		return fmt.Errorf("%w: %w", session.ErrUnreachable, err)
	}
	switch {
	case pg.Code == insufficientPrivilege:
		return fmt.Errorf("%w: %w", session.ErrPermissionDenied, err)
	case temporary(pg.Code):
		return fmt.Errorf("%w: %w", session.ErrUnreachable, err)
	default:
		return err
	}
}

// temporary: statement and lock timeouts, no free connection slot, shutting
// down, starting up, in recovery, connection exceptions.
func temporary(code string) bool {
	switch code[:min(2, len(code))] {
	case "08", "53", "57", "58":
		return true
	}
	return code == lockNotAvailable
}

// connectError marks everything that can go wrong on the way in. A wrong
// password is as unreachable as a closed port: mended there, a retry helps.
func connectError(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", session.ErrUnreachable, oneLine{err})
}

// unsent marks an error that came before the statement had reached the server.
type unsent struct{ error }

func (e unsent) Is(target error) bool { return target == session.ErrNotSent }

func (e unsent) Unwrap() error { return e.error }

// oneLine says once, and in one line, what pgx says for each address and each
// kind of encryption that it tried.
type oneLine struct{ error }

func (e oneLine) Error() string {
	first, tries, _ := strings.Cut(e.error.Error(), "\n\t")
	return strings.TrimSpace(first + " " + strings.Join(slices.Compact(strings.Split(tries, "\n\t")), "; "))
}

func (e oneLine) Unwrap() error { return e.error }
