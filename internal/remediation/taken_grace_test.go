package remediation_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/policy"
)

// An order to cancel is watched for verify_timeout. Where this one would have given
// its own cancel more time than that before it terminates, it gives theirs as much.
func TestTheirCancelHasTheGraceToo(t *testing.T) {
	const grace, verify = time.Minute, 4 * time.Second
	for name, tc := range map[string]struct {
		action policy.Action
		ago    time.Duration // since they said that it was ignored
		ends   time.Duration // after our request came; 0: it does not
		waits  time.Duration
		lines  []string
	}{
		"just now":               {policy.Cancel, 0, 0, grace - verify, []string{"intent terminate", "terminated+"}},
		"a while ago":            {policy.Cancel, grace / 2, 0, grace/2 - verify, []string{"intent terminate", "terminated+"}},
		"long ago":               {policy.Cancel, time.Hour, 0, 0, []string{"intent terminate", "terminated+"}},
		"their clock is ahead":   {policy.Cancel, -time.Hour, 0, grace - verify, []string{"intent terminate", "terminated+"}},
		"they gave it the grace": {policy.CancelThenTerminate, 0, 0, 0, []string{"intent terminate", "terminated+"}},
		"it works in the end":    {policy.Cancel, 0, 10 * time.Second, 10 * time.Second, []string{"gone"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStubborn(time.Millisecond)
				b := onStubborn(t, s, &strings.Builder{}, shortGrace(model.Duration(grace)))
				b.claim(nil, func() (ledger.Begun, error) {
					return ledger.Begun{Allowance: ledger.Taken, Became: ledger.Entry{
						ID: "theirs", Time: time.Now().Add(-tc.ago), Action: tc.action, Outcome: ledger.Ignored, Signalled: true, Replica: "pod-b",
					}}, nil
				})
				came := time.Now()
				var signalled time.Duration
				s.signalling = func() { signalled = time.Since(came) }
				if tc.ends > 0 {
					time.AfterFunc(tc.ends, s.end)
				}
				got := b.remediate(t, came, ofStubborn)[0]
				waited := signalled
				if s.sent == 0 {
					waited = time.Since(came)
				}
				if waited < tc.waits || waited > tc.waits+time.Second || got.Retry {
					t.Errorf("after %s instead of %s: %+v", waited, tc.waits, got)
				}
				lines := b.ledger.Recent(10)
				slices.Reverse(lines)
				checkLines(t, lines, tc.lines...)
			})
		})
	}
}
