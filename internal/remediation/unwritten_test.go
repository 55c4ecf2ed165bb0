package remediation_test

// In this file: lines that cannot be written.

import (
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// listen starts the Remediator anew and returns what it logs from here on.
func (b *testRemediator) listen() *strings.Builder {
	out := &strings.Builder{}
	b.logger = log.NewLogfmtLogger(log.NewSyncWriter(out))
	b.start()
	return out
}

// A decision whose line could not be written asks for a repeat, if nothing was
// signalled.
func TestADecisionThatCannotBeWrittenAsksForARepeat(t *testing.T) {
	srv := pgtest.Start(t)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	stays := untouched(t, srv, c.PID())
	alert := identity(t, c, "warning", "query_start")
	b := newTestRemediator(t, srv, "monsig")
	b.restart(t, "/dev/full")
	for name, tc := range map[string]struct {
		alert   labels
		mode    remediation.Mode
		outcome ledger.Outcome
	}{
		"a refusal by the alert":  {alert.with("pid", "x"), remediation.ModeEnforce, ledger.Refused},
		"a refusal by the policy": {alert.with("severity", "page"), remediation.ModeEnforce, ledger.Refused},
		"gone":                    {alert.with("query_start", "2020-01-01T00:00:00.000000Z"), remediation.ModeEnforce, ledger.Gone},
		"a dry run":               {alert, remediation.ModeDryRun, ledger.DryRun},
	} {
		t.Run(name, func(t *testing.T) {
			b.settings.Config.Mode = tc.mode
			out := b.listen()
			result := b.remediate(t, time.Now(), tc.alert)[0]
			if !result.Retry || result.Outcome != tc.outcome {
				t.Errorf("%+v", result)
			}
			if n := strings.Count(out.String(), `level=error`); n != 1 || !strings.Contains(out.String(), "no space left on device") {
				t.Errorf("the log says\n%s", out)
			}
		})
	}
	stays()
}

// The ledger fails after the intent.
func TestAnOutcomeThatCannotBeWritten(t *testing.T) {
	srv := pgtest.Start(t)
	for name, tc := range map[string]struct {
		fails   string
		retry   bool
		outcome ledger.Outcome
	}{
		"of a signal that was sent":      {"after", false, ledger.Cancelled},
		"of a signal that was not to be": {"before", true, ledger.Gone},
	} {
		t.Run(name, func(t *testing.T) {
			c := srv.Run(t, "app", "select pg_sleep(60)")
			var b *testRemediator
			b = newTestRemediator(t, srv, "monsig", hooked(&hooks{
				beforeSignal: func(int, session.Verb) error {
					if tc.fails == "before" {
						end(t, srv, c)
						return b.ledger.Close()
					}
					return nil
				},
				afterSignal: func(int, *session.Signalled) { _ = b.ledger.Close() },
			}))
			out := b.listen()
			result := b.remediate(t, time.Now(), identity(t, c, "warning", "query_start"))[0]
			if result.Retry != tc.retry || result.Outcome != tc.outcome {
				t.Errorf("%+v", result)
			}
			if n := strings.Count(out.String(), "level=error"); n != 1 {
				t.Errorf("the log says\n%s", out)
			}
		})
	}
}
