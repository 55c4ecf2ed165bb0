//go:build heavy

package postgres

import (
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// The three seconds of an attempt start when Dials lets it through.
func TestWaitingInTheQueueIsNoPartOfTheConnectTimeout(t *testing.T) {
	pg := pgtest.Start(t)
	dials := NewDials(1)
	if err := dials.acquire(t.Context(), queueAction, nil); err != nil {
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
