package pgledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
)

// A signal counts at the time of its intent, however late its outcome is.
func TestALateOutcomeSuspendsByTheTimeOfItsIntent(t *testing.T) {
	s := database(t)
	r := opened(t, s, "a", nil)
	limits := ledger.Limits{Actions: 9, Window: model.Duration(time.Minute), SuspendAfter: 2, SuspendWindow: model.Duration(10 * time.Minute)}
	for i, later := range []time.Duration{9 * time.Minute, 2 * time.Minute} {
		if begun := begin(t, r, about(i, fmt.Sprint(i), policy.Cancel), limits); begun.Allowance != ledger.Allowed {
			t.Fatalf("%+v", begun)
		}
		older(t, s, later)
	}
	finish(t, r, became(about(1, "1", policy.Cancel), ledger.Cancelled, true))
	if r.Suspended("orders") {
		t.Error("suspended by one")
	}
	finish(t, r, became(about(0, "0", policy.Cancel), ledger.Cancelled, true))
	if !r.Suspended("orders") {
		t.Error("not suspended by two within ten minutes")
	}
}

// older makes everything that the limits count older.
func older(t *testing.T, s *pgtest.Server, by time.Duration) {
	t.Helper()
	interval := fmt.Sprintf("interval '%d s'", int(by.Seconds()))
	s.Exec(t, "update pgbailiff.signals set begun_at = begun_at - "+interval, "update pgbailiff.servers set resumed_at = resumed_at - "+interval)
}
