package app

import (
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// An order keeps the times that it began with. So does its claim, after a reload that
// shortens them: otherwise another replica would take over what is still under way.
func TestAReloadTakesNoTimeFromTheOrdersUnderWay(t *testing.T) {
	long := "servers: [" + down + "]\nremediation: {verify_timeout: 10m}"
	a, path := newTestApp(t, long)
	defer a.stop()
	before, ok := a.generations.enter()
	if !ok {
		t.Fatal("no order may begin")
	}
	write(t, path, "servers: ["+down+"]\nremediation: {verify_timeout: 5s}")
	if err := a.reload(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if got := a.ownerPatience(); got < 10*time.Minute+ownerMargin {
		t.Errorf("an order of the old configuration owns its claim for %s", got)
	}
	before.orders.leave()
	proctest.Until(t, "the old times are over", func() bool { return a.ownerPatience() == 5*time.Second+ownerMargin })
}
