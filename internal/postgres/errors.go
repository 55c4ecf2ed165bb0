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

// classify says what an error of a statement means for the caller. An error that
// PostgreSQL reported stays what it is, unless it says that our role lacks a
// privilege or that the server or our connection is going away.
func classify(err error) error {
	if err == nil {
		return nil
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		if pgconn.SafeToRetry(err) {
			err = notSent{err}
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

// temporary reports whether a SQLSTATE may go away by itself: statement and lock
// timeouts, connection exceptions, and a server that is starting, stopping, in
// recovery or without a free connection slot.
func temporary(code string) bool {
	switch code[:min(2, len(code))] {
	case "08", "53", "57", "58":
		return true
	}
	return code == lockNotAvailable
}

// lockTimedOut reports whether a statement waited for a lock until lock_timeout.
func lockTimedOut(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == lockNotAvailable
}

// connectError marks everything that can fail while connecting as
// session.ErrUnreachable. A wrong password is, too: once it is corrected, a retry
// helps.
func connectError(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", session.ErrUnreachable, oneLine{err})
}

// notSent marks an error that came before the statement had reached the server: it
// is session.ErrNotSent.
type notSent struct{ error }

func (e notSent) Is(target error) bool { return target == session.ErrNotSent }

func (e notSent) Unwrap() error { return e.error }

// oneLine is an error of pgx in one line. pgx writes a line for each address and
// each kind of encryption that it tried; equal ones are written once.
type oneLine struct{ error }

func (e oneLine) Error() string {
	first, tries, _ := strings.Cut(e.error.Error(), "\n\t")
	return strings.TrimSpace(first + " " + strings.Join(slices.Compact(strings.Split(tries, "\n\t")), "; "))
}

func (e oneLine) Unwrap() error { return e.error }
