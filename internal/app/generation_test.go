package app

import (
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/config"
)

// An order keeps to the grace that it began with. A stop after a reload that
// shortened the grace still waits for it, and no longer than for those
// that are still there.
func TestAStopIsAsPatientAsTheOrdersUnderWay(t *testing.T) {
	gs := generations{logger: log.NewNopLogger()}
	next := func(grace time.Duration) *generation {
		cfg := &config.Config{}
		cfg.Remediation.Grace = model.Duration(grace)
		g := &generation{cfg: cfg}
		if err := gs.swap(g); err != nil {
			t.Fatal(err)
		}
		return g
	}
	next(time.Hour)
	order, ok := gs.enter()
	if !ok {
		t.Fatal("the first message was not let in")
	}
	next(time.Second)
	last := next(time.Minute)
	gs.stop()
	if got := last.patience(); got != time.Hour+orderPatience {
		t.Errorf("beside an order of the first generation a stop waits for %s", got)
	}
	order.orders.leave()
	<-last.earlier
	if got := last.patience(); got != time.Minute+orderPatience {
		t.Errorf("when that has ended a stop waits for %s", got)
	}
	gs.retiring.Wait()
}
