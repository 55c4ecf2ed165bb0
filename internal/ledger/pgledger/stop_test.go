package pgledger_test

import (
	"context"
	"strings"
	"testing"
	"time"
)

// A stop that ends an Expire under way is no failure that somebody must look at.
func TestAStopIsNoFailureToExpire(t *testing.T) {
	t.Parallel()
	r := opened(t, database(t), "one", nil)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := r.Expire(ctx, time.Now()); err == nil {
		t.Error("it has expired after the stop")
	}
	if said := r.log.String(); strings.Contains(said, "cannot be ended") {
		t.Error(said)
	}
}
