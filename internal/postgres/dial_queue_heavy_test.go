//go:build heavy

package postgres

import (
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// The clock of an attempt starts when its turn has come: waiting for it is no
// part of its three seconds.
func TestWaitingForATurnIsNoPartOfTheAttempt(t *testing.T) {
	pg := pgtest.Start(t)
	dials := NewDials(1)
	if err := dials.acquire(t.Context(), queueAction); err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{DSN: pg.DSN("monsig")}, dials, log.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	time.AfterFunc(connectTimeout+statementTimeout, dials.release)
	conn, _, err := s.connect(t.Context(), forAction)
	if err != nil {
		t.Fatal(err)
	}
	if err := closeConn(conn); err != nil {
		t.Error(err)
	}
}
