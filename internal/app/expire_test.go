package app

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// An order that nobody approves expires, on record and in the metric, without
// anybody asking for it. TestMain finds what the stop would leave behind.
func TestWhatNobodyApprovesExpiresByItself(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ledger.jsonl")
	a, _ := newTestApp(t, "servers: ["+down+"]\nremediation: {ledger: {file: "+file+"}}")
	defer a.stop()
	waits := func() (n float64) {
		families, err := a.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			for _, m := range family.GetMetric() {
				if family.GetName() == "pgbailiff_pending_approvals" {
					n += m.GetGauge().GetValue()
				}
			}
		}
		return n
	}
	asked := ledger.Entry{
		Time: time.Now(), ID: "one", Decision: "one", Server: "down", Target: ledger.Target{PID: 42},
		Action: policy.Cancel, Question: ledger.Question{Until: time.Now().Add(time.Minute)},
	}
	for _, until := range []time.Time{asked.Until, time.Now().Add(time.Millisecond)} {
		asked.Until = until
		if standing, _, err := a.ledger.Ask(t.Context(), asked); standing != ledger.Waiting || err != nil {
			t.Fatalf("asked: %d, %v", standing, err)
		}
		asked.ID, asked.Decision, asked.PID = "two", "two", 43
	}
	expired := func() []ledger.Entry {
		return slices.DeleteFunc(a.ledger.Recent(10), func(e ledger.Entry) bool { return e.Event != ledger.EventExpired })
	}
	proctest.Until(t, "the order to expire", func() bool { return len(expired()) > 0 && waits() == 1 })
	if got := expired(); len(got) != 1 || got[0].ID != "two" {
		t.Errorf("expired: %+v", got)
	}
}
