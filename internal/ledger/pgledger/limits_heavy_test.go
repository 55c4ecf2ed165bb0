//go:build heavy

package pgledger_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
)

// The limits of both ledgers are the same: any history has the same answers. The
// file is given the time, and in the database everything becomes older instead.
// Each advance is a minute at least, so that what the test takes does not matter.
func TestTheLimitsAreThoseOfTheFile(t *testing.T) {
	s := database(t)
	r := opened(t, s, "a", nil)
	file, err := ledger.Open(ledger.Config{}, log.NewNopLogger(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}()
	end := func(e ledger.Entry) {
		if err := file.Finish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		finish(t, r, e)
	}
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	now, open, pid := noon, []ledger.Entry{}, 0
	got := map[ledger.Allowance]int{}
	// The file forgets what is older than both windows, so they stay the same.
	window, suspendWindow := model.Duration(1+random.IntN(60))*model.Duration(time.Minute), model.Duration(60+random.IntN(60))*model.Duration(time.Minute)
	for step := range 600 {
		server := []string{"orders", "stock"}[random.IntN(2)]
		now = now.Add(time.Microsecond)
		what := ""
		switch n := random.IntN(20); {
		case n < 11:
			limits := ledger.Limits{
				Actions: random.IntN(6), Window: window, SuspendAfter: random.IntN(8), SuspendWindow: suspendWindow,
			}
			pid++
			e := about(pid, fmt.Sprint(pid), policy.Cancel)
			if e.Server, e.Time = server, now; random.IntN(5) == 0 {
				e.Source = ledger.SourceManual
			}
			what = fmt.Sprintf("begin %s by %s with %+v", server, e.Source, limits)
			want, err := file.Begin(t.Context(), e, limits)
			if err != nil {
				t.Fatal(err)
			}
			begun := begin(t, r, e, limits)
			if begun.Allowance != want.Allowance {
				t.Fatalf("seed %d, step %d, %s: %d, and of the file %d", seed, step, what, begun.Allowance, want.Allowance)
			}
			if got[want.Allowance]++; want.Allowance == ledger.Allowed {
				open = append(open, e)
			}
		case n < 17 && len(open) > 0:
			i := random.IntN(len(open))
			e := became(open[i], ledger.Refused, false)
			if random.IntN(3) > 0 {
				e = became(open[i], ledger.Cancelled, true)
			}
			open = append(open[:i], open[i+1:]...)
			end(e)
		case n < 18:
			if err := file.Resume(t.Context(), server, "", now); err != nil {
				t.Fatal(err)
			}
			if err := r.Resume(t.Context(), server, "", now); err != nil {
				t.Fatal(err)
			}
		default:
			// The file forgets what no window reaches by now, although it may count at the
			// time of an intent that is open for so long.
			for _, e := range open {
				end(became(e, ledger.Cancelled, random.IntN(2) > 0))
			}
			open = open[:0]
			d := time.Duration(1+random.IntN(30)) * time.Minute
			now = now.Add(d)
			older(t, s, d)
		}
		for _, server := range []string{"orders", "stock"} {
			want := file.Suspended(server)
			if got := pgtest.Value[bool](t, s, "select coalesce((select suspended from pgbailiff.servers where server = $1), false)", server); got != want {
				t.Fatalf("seed %d, step %d, %s: %s suspended %t, and in the file %t", seed, step, what, server, got, want)
			}
			if r.Suspended(server) != want {
				t.Fatalf("seed %d, step %d, %s: in the copy it is not %t that %s is suspended", seed, step, what, want, server)
			}
			count := pgtest.Value[int](t, s, "select count(*)::int from pgbailiff.signals where server = $1 and spent and begun_at > clock_timestamp() - interval '1 h'", server)
			if want := file.Spent(server, time.Hour, now); count != want {
				t.Fatalf("seed %d, step %d, %s: %d spent, and in the file %d", seed, step, what, count, want)
			}
		}
	}
	if got[ledger.Allowed] == 0 || got[ledger.OverBudget] == 0 || got[ledger.Suspended] == 0 {
		t.Errorf("seed %d: some answers were never given: %v", seed, got)
	}
}
