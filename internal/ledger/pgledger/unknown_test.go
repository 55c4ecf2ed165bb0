package pgledger_test

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/ledger/pgledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// over is a replica that uses the ledger by a path. It has idle connections, because
// its own reading may hold some, and asks none of them whether it is alive.
func over(t testing.TB, s *pgtest.Server, p *path, name string) replica {
	t.Helper()
	r := opened(t, s, name, func(o *pgledger.Options) {
		o.Config.Postgres.DSN = p.dsn(s)
		pgledger.PingAfter(o, time.Hour)
	})
	if err := r.OpenConnections(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	return r
}

// shortly is a context that ends soon.
func shortly(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// given gives a call up once it has arrived, and returns its error.
func given(t testing.TB, call func(context.Context) error, arrived func()) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- call(ctx) }()
	arrived()
	cancel()
	return <-done
}

// beginning begins an intent, for given.
func beginning(r replica, intent ledger.Entry) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := r.Begin(ctx, intent, plenty)
		return err
	}
}

// An intent that became durable, and nobody knew: nothing may be signalled, and it
// is ended when the database can be reached again.
func TestAnIntentThatNobodyKnewOfIsEnded(t *testing.T) {
	s := database(t)
	p := newPath(t, s)
	r, other := over(t, s, p, "a"), opened(t, s, "b", nil)
	allowed(t, r, about(1, "warm", policy.Cancel)) // now a connection is known to be alive
	p.become(deaf)
	arrived := func() { s.WaitFor(t, "select exists (select from pgbailiff.signals where id = 'x')") }
	if err := given(t, beginning(r, about(2, "x", policy.Cancel)), arrived); err == nil {
		t.Fatal("it is allowed")
	}
	p.become(whole)
	s.WaitFor(t, "select exists (select from pgbailiff.signals where id = 'x' and outcome is not null)")
	want := []string{"intent warm", "intent x", "outcome x failed"}
	if diff := cmp.Diff(want, lines(t, s)); diff != "" {
		t.Errorf("the lines (-want +got):\n%s", diff)
	}
	if begun := begin(t, other, about(2, "y", policy.Cancel), atMost(2)); begun.Allowance != ledger.Allowed {
		t.Errorf("nothing was signalled, so it counts for nothing: %+v", begun)
	}
}

// An intent that arrives after its caller has given up, and after it was ended, is
// not begun any more.
func TestAnIntentThatArrivesLateIsNeverBegun(t *testing.T) {
	s := database(t, "log_min_duration_statement=0")
	tried := func() int {
		return len(regexp.MustCompile("execute [^ ]*: -- Claims a step").FindAllString(s.Log(), -1))
	}
	p := newPath(t, s)
	r := over(t, s, p, "a")
	allowed(t, r, about(1, "warm", policy.Cancel))
	p.become(holding)
	arrived := func() { proctest.Until(t, "an intent on its way", p.holds) }
	if err := given(t, beginning(r, about(2, "x", policy.Cancel)), arrived); err == nil {
		t.Fatal("it is allowed")
	}
	p.become(whole)
	s.WaitFor(t, "select exists (select from pgbailiff.signals where id = 'x')")
	before := tried()
	p.deliver()
	proctest.Until(t, "the late intent", func() bool { return tried() > before })
	if begun := begin(t, r, about(2, "y", policy.Cancel), plenty); begun.Allowance != ledger.Allowed {
		t.Errorf("%+v", begun)
	}
	if got := lines(t, s); !slices.Equal(got, []string{"intent warm", "intent y"}) {
		t.Errorf("%q", got)
	}
}

// A takeover that nobody knew of is ended as well, under the ID of the intent.
func TestATakeoverThatNobodyKnewOfIsEnded(t *testing.T) {
	s := database(t)
	p := newPath(t, s)
	r, other := over(t, s, p, "a"), opened(t, s, "b", nil)
	allowed(t, other, about(1, "x", policy.Cancel))
	gone(t, s, time.Second)
	allowed(t, r, about(2, "warm", policy.Cancel))
	p.become(deaf)
	arrived := func() {
		s.WaitFor(t, "select exists (select from pgbailiff.signals where id = 'x' and owner like 'a/%')")
	}
	if err := given(t, beginning(r, about(1, "y", policy.Cancel)), arrived); err == nil {
		t.Fatal("it is allowed")
	}
	p.become(whole)
	s.WaitFor(t, "select exists (select from pgbailiff.signals where id = 'x' and outcome is not null)")
	want := []string{"intent x", "intent warm", "outcome x failed"}
	if diff := cmp.Diff(want, lines(t, s)); diff != "" {
		t.Errorf("the lines (-want +got):\n%s", diff)
	}
	if begun := begin(t, r, about(3, "z", policy.Cancel), atMost(2)); begun.Allowance != ledger.OverBudget {
		t.Errorf("the first owner may have signalled: %+v", begun)
	}
}

// An intent that somebody else has taken over meanwhile is left alone.
func TestWhatWasTakenOverIsNotAbandoned(t *testing.T) {
	s := database(t)
	p := newPath(t, s)
	r, other := over(t, s, p, "a"), opened(t, s, "b", nil)
	allowed(t, r, about(1, "warm", policy.Cancel))
	p.become(deaf)
	arrived := func() { s.WaitFor(t, "select exists (select from pgbailiff.signals where id = 'x')") }
	if err := given(t, beginning(r, about(2, "x", policy.Cancel)), arrived); err == nil {
		t.Fatal("it is allowed")
	}
	gone(t, s, time.Second)
	if begun := begin(t, other, about(2, "y", policy.Cancel), plenty); begun.ID != "x" {
		t.Fatalf("%+v", begun)
	}
	p.become(whole)
	if err := r.Append(t.Context(), ledger.Entry{Server: "orders", Outcome: ledger.Refused}); err != nil {
		t.Fatal(err)
	}
	waitForLog(t, r, "Ledger written after all")
	finish(t, other, became(about(2, "x", policy.Cancel), ledger.Cancelled, true))
	want := []string{"intent warm", "intent x", "outcome refused", "outcome x cancelled signalled"}
	if diff := cmp.Diff(want, lines(t, s)); diff != "" {
		t.Errorf("the lines (-want +got):\n%s", diff)
	}
}

// An outcome whose commit nobody knew of is written once, and Finish succeeds if
// that becomes known in time.
func TestAnOutcomeIsWrittenOnce(t *testing.T) {
	s := database(t)
	p := newPath(t, s)
	r := over(t, s, p, "a")
	intent := allowed(t, r, about(1, "x", policy.Cancel))
	other := allowed(t, r, about(2, "y", policy.Cancel))
	p.become(deaf)
	finishing := func(ctx context.Context) error { return r.Finish(ctx, became(intent, ledger.Cancelled, true)) }
	arrived := func() { s.WaitFor(t, "select exists (select from pgbailiff.entries where event = 'outcome')") }
	if err := given(t, finishing, arrived); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	p.become(cut)
	done := make(chan error, 1)
	go func() { done <- r.Finish(t.Context(), became(other, ledger.Cancelled, true)) }()
	waitForLog(t, r, "outcome=cancelled") // the first attempt has failed
	p.become(whole)
	if err := <-done; err != nil {
		t.Errorf("it was written in time: %v", err)
	}
	waitForLog(t, r, "outcome=cancelled id=x") // no new connection comes through at the end of the test
	want := []string{"intent x", "intent y", "outcome x cancelled signalled", "outcome y cancelled signalled"}
	if diff := cmp.Diff(want, lines(t, s)); diff != "" {
		t.Errorf("the lines (-want +got):\n%s", diff)
	}
	if strings.Contains(r.log.String(), "came too late") {
		t.Error(r.log)
	}
}
