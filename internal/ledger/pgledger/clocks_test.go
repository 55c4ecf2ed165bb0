package pgledger_test

import (
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// A question waits by the database's clock. A replica whose own clock is an hour
// ahead shows it as well, with the time that is left.
func TestAQuestionShowsWhereTheClockIsAhead(t *testing.T) {
	t.Parallel()
	s := database(t)
	o := &office{desk: opened(t, s, "one", nil), t: t, now: time.Now}
	o.ask(o, newQuestion("orders", "A", time.Now()), ledger.Waiting)
	// As a database whose clock is an hour behind would have written it.
	s.Exec(t, `update pgbailiff.questions
		set asked = asked || jsonb_build_object('until', to_char((until - interval '1 hour') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))`)
	other := opened(t, s, "two", nil)
	o.waits(other, "A")
	if left := time.Until(other.Approvals(time.Now())[0].Until); left < 29*time.Minute || left > 30*time.Minute {
		t.Errorf("%s are left", left)
	}
}
