package remediation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// In this file: a reload changes the mode while a request is under way.

// After the mode has changed nothing more is sent.
func TestOffDuringTheGrace(t *testing.T) {
	srv := pgtest.Start(t)
	for _, mode := range []remediation.Mode{remediation.ModeOff, remediation.ModeDryRun} {
		t.Run(string(mode), func(t *testing.T) {
			c := ignoresCancel(t, srv)
			var b *testRemediator
			b = newTestRemediator(t, srv, "monsig", escalates(t), shortGrace(20*model.Millisecond), hooked(&hooks{
				afterWatch: func(int, session.Observation) {
					next := b.settings
					next.Config.Mode = mode
					b.apply(next)
				},
			}))
			results, lines := b.recorded(t, time.Now(), identity(t, c, "warning", "query_start"))
			check(t, results[0], policy.CancelThenTerminate, ledger.Ignored, policy.ReasonRule)
			checkLines(t, lines, "intent cancel", "ignored+")
			if last := lines[len(lines)-1]; !strings.Contains(last.Detail, "remediation.mode is "+string(mode)) {
				t.Errorf("detail: %s", last.Detail)
			}
			if !c.Running() {
				t.Error("the session was ended")
			}
		})
	}
}

// The same before the first signal.
func TestOffBeforeTheSignal(t *testing.T) {
	srv := pgtest.Start(t)
	for mode, want := range map[remediation.Mode]string{remediation.ModeOff: "refused mode_off", remediation.ModeDryRun: "dry_run"} {
		t.Run(string(mode), func(t *testing.T) {
			c := srv.Run(t, "app", "select pg_sleep(60)")
			stays := untouched(t, srv, c.PID())
			var b *testRemediator
			b = newTestRemediator(t, srv, "monsig", hooked(&hooks{
				afterFind: func(int, *session.Found) {
					next := b.settings
					next.Config.Mode = mode
					b.apply(next)
				},
			}))
			_, lines := b.recorded(t, time.Now(), identity(t, c, "warning", "query_start"))
			checkLines(t, lines, want)
			stays()
		})
	}
}

// A reload that turns remediation off while the intent is being written comes in
// time.
func TestNothingIsSentWhenTheModeChangesBeforeTheSignal(t *testing.T) {
	srv := pgtest.Start(t)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	var b *testRemediator
	b = newTestRemediator(t, srv, "monsig", func(s *remediation.Settings) {
		s.Text = func(q string) string { // the intent is about to be written
			later := b.settings
			later.Config.Mode = remediation.ModeOff
			b.apply(later)
			return q
		}
	})
	results, lines := b.recorded(t, time.Now(), identity(t, c, "critical", "query_start"))
	check(t, results[0], policy.Terminate, ledger.Refused, policy.ReasonModeOff)
	checkLines(t, lines, "intent terminate", "refused mode_off")
	if !c.Running() {
		t.Error("it was hit")
	}
}

// In mode off every alert is refused for that reason, and no server is asked.
func TestOffRefusesEveryAlert(t *testing.T) {
	srv := pgtest.Start(t)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	h := &hooks{}
	b := newTestRemediator(t, srv, "monsig", hooked(h), func(s *remediation.Settings) { s.Config.Mode = remediation.ModeOff })
	alert := identity(t, c, "critical", "query_start")
	for name, l := range map[string]labels{
		"an alert":          alert,
		"a bad label":       alert.with("query_start", "yesterday"),
		"no pid":            alert.with("pid", ""),
		"an unknown server": alert.with("server", "billing"),
	} {
		t.Run(name, func(t *testing.T) {
			results, lines := b.recorded(t, time.Now(), l)
			check(t, results[0], policy.None, ledger.Refused, policy.ReasonModeOff)
			checkLines(t, lines, "refused mode_off")
		})
	}
	if h.finds != 0 {
		t.Errorf("the server was asked %d times", h.finds)
	}
}
