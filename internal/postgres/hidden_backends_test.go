package postgres_test

import (
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// A hidden session counts also when its role was dropped meanwhile and has no
// name any more.
func TestAHiddenSessionOfADroppedRole(t *testing.T) {
	pg := pgtest.Start(t)
	s := start(t, pg, "nopriv")
	pg.Exec(t, "create role leaver login")
	pg.Open(t, "leaver")
	before := snapshot(t, s)
	pg.Exec(t, "drop role leaver")
	if got := snapshot(t, s); got.Hidden != before.Hidden || got.Hidden < 2 { // and pgtest's own
		t.Errorf("%d hidden, want %d", got.Hidden, before.Hidden)
	}
}
