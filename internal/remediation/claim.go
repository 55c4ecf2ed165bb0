package remediation

import (
	"context"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// claimLife is how long after its claim a signal may be sent. Another replica takes
// a step over that has no outcome when Options.Patience of the shared ledger has
// passed, which is longer.
const claimLife = 30 * time.Second

// grant gives the cancel of another request what this one's would have more: that
// one was watched for verify_timeout, and this order waits for grace. The other
// clock may be the ledger's.
func (o *order) grant(ctx context.Context, t target, cancel ending) {
	if cancel.ungraced.IsZero() {
		return
	}
	more := time.Duration(o.settings.Config.Grace - o.settings.Config.VerifyTimeout)
	left := min(more, more-time.Since(cancel.ungraced))
	if left <= 0 {
		return
	}
	o.turn.signalSent() // a repeat may wait as long
	ctx, stop := context.WithTimeout(ctx, left)
	defer stop()
	_, _ = o.server.Watch(ctx, t.session.ID, func(now session.Observation) bool { return !t.fence.Stands(now) }) // the look is next
}
