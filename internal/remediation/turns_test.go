package remediation_test

// In this file: an alert comes again while the first one is being dealt with.
// Time is synctest's, so the server is no real one.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/metricstest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// stubborn is a server with one session, which ignores every cancel and is gone a
// while after it was terminated.
type stubborn struct {
	dies    time.Duration
	answers int // so many calls of Find; the later ones hang
	session session.Found

	signalling func() // before each signal; nil: nothing
	unjudged   bool   // the next signal meets another statement, which must be judged first

	mu   sync.Mutex
	ends time.Time
	sent int
}

func newStubborn(dies time.Duration) *stubborn {
	begun := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &stubborn{dies: dies, answers: 1000, session: session.Found{Own: session.No, Superuser: session.No, Session: session.Session{
		ID:          session.ID{Server: "orders", PID: 42, BackendStart: begun},
		BackendType: session.BackendTypeClient, Usename: "app",
		Activity: session.Activity{State: session.StateActive, QueryStart: begun, XactStart: begun, StateChange: begun},
		Query:    "select 1",
	}}}
}

func (s *stubborn) there() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ends.IsZero() || time.Now().Before(s.ends)
}

// end ends the session now.
func (s *stubborn) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends = time.Now()
}

func (s *stubborn) Find(ctx context.Context, _ int32) (session.Found, bool, error) {
	s.mu.Lock()
	s.answers--
	hangs := s.answers < 0
	s.mu.Unlock()
	if hangs {
		<-ctx.Done()
	}
	if ctx.Err() != nil {
		return session.Found{}, false, errors.Join(session.ErrUnreachable, context.Cause(ctx))
	}
	return s.session, s.there(), nil
}

func (s *stubborn) Signal(ctx context.Context, verb session.Verb, _ session.Fence) (session.Signalled, error) {
	if ctx.Err() != nil {
		return session.Signalled{}, errors.Join(session.ErrUnreachable, session.ErrNotSent)
	}
	if s.signalling != nil {
		s.signalling()
	}
	switch {
	case !s.there():
		return session.Signalled{Verdict: session.VerdictGone}, nil
	case s.unjudged:
		return session.Signalled{Verdict: session.VerdictUnjudged}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent++
	if verb == session.Terminate && s.ends.IsZero() {
		s.ends = time.Now().Add(s.dies)
	}
	return session.Signalled{
		Verdict: session.VerdictSignalled, QueryStart: s.session.QueryStart,
		Before: time.Now(), At: time.Now(), After: session.Observation{ID: s.session.ID, Present: true, Activity: s.session.Activity},
	}, nil
}

func (s *stubborn) Watch(ctx context.Context, _ session.ID, ended func(session.Observation) bool) (session.Observation, error) {
	for {
		now := session.Observation{ID: s.session.ID, Present: s.there(), Activity: s.session.Activity}
		if ended(now) || ctx.Err() != nil {
			return now, nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// ofStubborn is an alert about that session.
var ofStubborn = labels{
	"alertname": "Test", "severity": "warning", "server": "orders", "pid": "42",
	"backend_start": "2026-01-01T00:00:00.000000Z", "query_start": "2026-01-01T00:00:00.000000Z",
}

// repeats carries out the same alert n times, a second apart, and returns when
// each was answered, from the first on, with its outcome, and whether a repeat can
// help.
func repeats(t *testing.T, b *testRemediator, n int) (said []string) {
	begun := time.Now()
	all := make([]string, n)
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			<-time.After(time.Duration(i) * time.Second)
			result := b.remediate(t, begun, ofStubborn)[0]
			all[i] = fmt.Sprintf("%s %s", time.Since(begun).Round(time.Second), result.Outcome)
			if result.Retry {
				all[i] += " repeat"
			}
		})
	}
	wait.Wait()
	return all
}

// onStubborn is a Remediator with that server.
func onStubborn(t *testing.T, s *stubborn, out *strings.Builder, opts ...option) *testRemediator {
	t.Helper()
	l, err := ledger.Open(ledger.Config{}, log.NewNopLogger(), nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &testRemediator{ledger: l, logger: log.NewLogfmtLogger(log.NewSyncWriter(out))}
	b.settings = remediation.Settings{
		Config: remediation.Config{
			Mode: remediation.ModeEnforce, Grace: 6 * model.Second, VerifyTimeout: 4 * model.Second, ApprovalTimeout: model.Hour,
			Limits: ledger.Limits{Actions: 10, Window: model.Minute, SuspendAfter: 100, SuspendWindow: model.Minute},
		},
		Policy: compile(t, policy.RuleConfig{
			Name: "escalate", Matchers: []string{`usename="app"`}, Action: policy.CancelThenTerminate,
		}),
		Servers: map[string]remediation.Server{"orders": s},
		Text:    func(q string) string { return q },
	}
	for _, o := range opts {
		o(&b.settings)
	}
	b.start()
	return b
}

// The first one takes ten seconds, as a cancel and a terminate may. Its repeats
// wait, and find nothing left to do.
func TestARepeatWaitsForTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &strings.Builder{}
		b := onStubborn(t, newStubborn(3900*time.Millisecond), out)
		got := repeats(t, b, 4)
		if want := "[10s terminated 10s gone 10s gone 10s gone]"; fmt.Sprint(got) != want {
			t.Errorf("answered %v, want %s", got, want)
		}
		if strings.Contains(out.String(), "level=error") {
			t.Errorf("the log has an error:\n%s", out)
		}
		if n := metricstest.Value(t, b.registry, "pgbailiff_remediations_total{action=none,outcome=failed,server=orders}"); n != 0 {
			t.Errorf("%v orders failed", n)
		}
	})
}

// Each of them takes ten seconds. The last one has waited for thirty, and then has
// time of its own.
func TestEachRepeatWaitsForThoseBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := onStubborn(t, newStubborn(time.Hour), &strings.Builder{})
		got := strings.Join(repeats(t, b, 4), ", ")
		if n := strings.Count(got, "ignored"); n != 4 || strings.Contains(got, "repeat") {
			t.Errorf("answered %s", got)
		}
		if lines := b.ledger.Recent(100); len(lines) != 16 || intents(lines) != 8 {
			t.Errorf("%d lines, %d intents", len(lines), intents(lines))
		}
	})
}

// A repeat does not wait long for a request that has not sent its signal yet: that
// the server cannot be reached is reported within ten seconds.
func TestARepeatDoesNotWaitForAServerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStubborn(0)
		s.answers = 0
		b := onStubborn(t, s, &strings.Builder{})
		got := repeats(t, b, 3)
		if want := "[8s failed repeat 9s failed repeat 10s failed repeat]"; fmt.Sprint(got) != want {
			t.Errorf("answered %v, want %s", got, want)
		}
	})
}

// The server hangs during the grace: the cancel was sent, and its effect cannot be
// seen.
func TestAServerThatHangsInTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStubborn(0)
		s.answers = 1
		b := onStubborn(t, s, &strings.Builder{})
		if got, want := fmt.Sprint(repeats(t, b, 1)), "[10s failed repeat]"; got != want {
			t.Errorf("answered %s, want %s", got, want)
		}
		lines := b.ledger.Recent(10)
		slices.Reverse(lines)
		checkLines(t, lines, "intent cancel", "failed+")
	})
}
