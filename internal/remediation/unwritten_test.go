package remediation_test

// In this file: lines that cannot be written.

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
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

// hangingLedger is a ledger whose disk hangs.
type hangingLedger struct {
	*ledger.Ledger
	until time.Time // how long the last caller would have waited
}

func (l *hangingLedger) hang(ctx context.Context) error {
	l.until, _ = ctx.Deadline()
	return context.DeadlineExceeded
}

func (l *hangingLedger) Append(ctx context.Context, _ ledger.Entry) error { return l.hang(ctx) }

func (l *hangingLedger) Begin(ctx context.Context, _ ledger.Entry, _ ledger.Limits) (ledger.Begun, error) {
	return ledger.Begun{}, l.hang(ctx)
}

func (l *hangingLedger) Ask(ctx context.Context, _ ledger.Entry) (ledger.Standing, ledger.Entry, error) {
	return 0, ledger.Entry{}, l.hang(ctx)
}

// A disk that hangs is told to Alertmanager within ten seconds: the outcome of what
// could not be written does not take as long once more.
func TestADiskThatHangsIsToldInTime(t *testing.T) {
	srv := pgtest.Start(t)
	c := srv.Run(t, "app", "select pg_sleep(60)")
	for name, tc := range map[string]struct {
		alert labels
		ago   time.Duration // that it came
		want  time.Duration
	}{
		"a person cannot be asked":  {teams(t, c, "warning", "query_start"), 4 * time.Second, 8 * time.Second},
		"no signal can be begun":    {identity(t, c, "warning", "query_start"), 4 * time.Second, 8 * time.Second},
		"the time is over by then":  {labels{"pid": "x"}, time.Minute, time.Minute + 2*time.Second},
		"a refusal, not long after": {labels{"pid": "x"}, time.Second, 8 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestRemediator(t, srv, "monsig", rules(t, asks(policy.Cancel)))
			l := &hangingLedger{Ledger: b.ledger}
			b.shared = remediation.NewShared(b.logger, l, prometheus.NewRegistry())
			b.apply(b.settings)
			now := time.Now()
			got := b.remediator.Remediate(t.Context(), request(tc.alert, 0, now, now.Add(-tc.ago)))
			if took := l.until.Sub(now.Add(-tc.ago)); took > tc.want || !l.until.After(now) || !got.Retry || got.Signalled {
				t.Errorf("it would have waited %s: %+v", took, got)
			}
		})
	}
}
