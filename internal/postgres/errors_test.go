package postgres

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// An error says whether a retry can help, and whether the statement may have reached
// the server.
func TestClassify(t *testing.T) {
	server := func(code string) error { return &pgconn.PgError{Code: code} }
	for name, tc := range map[string]struct {
		err                           error
		unreachable, notSent, refused bool
	}{
		"nothing":                {nil, false, false, false},
		"a syntax error":         {server("42601"), false, false, false},
		"not allowed":            {server("42501"), false, false, true},
		"the statement timeout":  {server("57014"), true, false, false},
		"terminated":             {server("57P01"), true, false, false},
		"the lock timeout":       {server("55P03"), true, false, false},
		"an object in use":       {server("55006"), false, false, false},
		"no free slot":           {server("53300"), true, false, false},
		"a disk that fails":      {server("58030"), true, false, false},
		"a connection exception": {server("08006"), true, false, false},
		"an odd code":            {server(""), false, false, false},
		"a broken connection":    {io.ErrUnexpectedEOF, true, false, false},
		"the end of a context":   {context.Canceled, true, false, false},
		"a closed connection":    {closedConnection{}, true, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := classify(tc.err)
			if (err == nil) != (tc.err == nil) || !errors.Is(err, tc.err) {
				t.Errorf("became %v", err)
			}
			for sentinel, want := range map[error]bool{
				session.ErrUnreachable: tc.unreachable, session.ErrNotSent: tc.notSent, session.ErrPermissionDenied: tc.refused,
			} {
				if got := errors.Is(err, sentinel); got != want {
					t.Errorf("%v: %t", sentinel, got)
				}
			}
		})
	}
}

// closedConnection is an error of pgx before it has written anything.
type closedConnection struct{}

func (closedConnection) Error() string     { return "conn closed" }
func (closedConnection) SafeToRetry() bool { return true }
