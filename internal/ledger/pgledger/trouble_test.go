package pgledger_test

import (
	"context"
	"errors"
	"fmt"
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

// trouble makes a database unusable, and usable again.
type trouble func(t *testing.T, s *pgtest.Server) (end func())

var troubles = map[string]trouble{
	"stopped": func(t *testing.T, s *pgtest.Server) func() {
		s.Stop(t)
		return func() { s.Restart(t) }
	},
	"killed": func(t *testing.T, s *pgtest.Server) func() {
		s.Kill(t)
		return func() { s.Restart(t) }
	},
	"hangs": func(t *testing.T, s *pgtest.Server) func() {
		hang, resume := s.Hanging(t, pgledger.ApplicationName)
		hang()
		return resume
	},
	"read-only": func(t *testing.T, s *pgtest.Server) func() {
		s.Exec(t, "alter system set default_transaction_read_only = on", "select pg_reload_conf()")
		return func() {
			s.Exec(t, "set default_transaction_read_only = off", "alter system reset default_transaction_read_only", "select pg_reload_conf()")
		}
	},
	"full": func(t *testing.T, s *pgtest.Server) func() {
		s.Exec(t, `create function disk_full() returns trigger language plpgsql as $$ begin raise 'could not extend file' using errcode = 'disk_full'; end $$`,
			"create trigger disk_full before insert on pgbailiff.entries execute function disk_full()")
		return func() { s.Exec(t, "drop trigger disk_full on pgbailiff.entries") }
	},
	"locked": func(t *testing.T, s *pgtest.Server) func() {
		c := s.IdleInTransaction(t, "postgres", "lock table pgbailiff.signals in access exclusive mode")
		return func() { c.Exec(t, "rollback") }
	},
}

// Whatever the database does, nothing may be signalled, every call ends with its
// context, and all goes on by itself afterwards. What was begun before gets its
// outcome.
func TestInTroubleNothingIsSignalled(t *testing.T) {
	for name, begins := range troubles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := database(t)
			r := opened(t, s, "a", nil)
			before := allowed(t, r, about(1, "before", policy.Cancel))
			proctest.Until(t, "no new connection", func() bool { return !r.Connecting() })
			end := begins(t, s)
			n := 0
			proctest.Eventually(t, "the trouble", func() error { // a reload takes a moment
				n++
				e := about(100+n, fmt.Sprint("in trouble ", n), policy.Cancel)
				begun, err := r.Begin(shortly(t), e, plenty)
				if err != nil {
					return nil
				}
				if begun.Allowance == ledger.Allowed {
					_ = r.Finish(shortly(t), became(e, ledger.Gone, false)) // what fails is written again
				}
				return errors.New("it goes on")
			})
			if up(t, r) != 0 && name != "locked" { // there lines can be written, only no intents
				t.Error("the metric says up")
			}
			if err := r.Finish(shortly(t), became(before, ledger.Cancelled, true)); err == nil {
				t.Error("the outcome was written")
			}
			if err := r.Append(shortly(t), ledger.Entry{Server: "orders", Outcome: ledger.Refused, Decision: "in trouble"}); err == nil && name != "locked" {
				t.Error("the line was written")
			}
			if got := r.log.String(); !strings.Contains(got, "Ledger write failed") {
				t.Errorf("the log: %s", got)
			}
			end()
			s.WaitFor(t, "select exists (select from pgbailiff.signals where id = 'before' and outcome is not null)")
			proctest.Eventually(t, "a signal", func() error {
				begun, err := r.Begin(proctest.Deadline(t), about(2, "after", policy.Cancel), plenty)
				if err == nil && begun.Allowance != ledger.Allowed {
					t.Fatalf("%+v", begun)
				}
				return err
			})
			proctest.Until(t, "up", func() bool { return up(t, r) == 1 })
			s.WaitFor(t, "select count(*) = 1 from pgbailiff.signals where outcome is null")
			grammar(t, s)
		})
	}
}

// grammar checks that each intent but one has its one outcome.
func grammar(t *testing.T, s *pgtest.Server) {
	t.Helper()
	got := map[string]string{}
	for _, e := range entries(t, s) {
		if e.ID != "" {
			got[e.ID] += string(e.Event) + " "
		}
	}
	for id, events := range got {
		if want := "intent outcome "; id != "after" && events != want || id == "after" && events != "intent " {
			t.Errorf("%s: %s", id, events)
		}
	}
	if got["before"] == "" || got["after"] == "" {
		t.Errorf("%v", got)
	}
}

// A database that cannot be reached at the start is no error. Its schema is checked
// when it can be.
func TestTheDatabaseMayComeLater(t *testing.T) {
	s := database(t)
	s.Stop(t)
	r := opened(t, s, "a", nil)
	if !strings.Contains(r.log.String(), "nothing is signalled") || up(t, r) != 0 {
		t.Errorf("up %v, the log: %s", up(t, r), r.log)
	}
	s.Restart(t)
	s.Exec(t, "update pgbailiff.migrations set version = 2")
	proctest.Eventually(t, "the reason", func() error {
		_, err := r.Begin(t.Context(), about(1, "x", policy.Cancel), plenty)
		if !errors.Is(err, pgledger.ErrSchema) || !strings.Contains(err.Error(), "pgbailiff ledger migrate") {
			return fmt.Errorf("%w", err)
		}
		return nil
	})
	s.Exec(t, "update pgbailiff.migrations set version = 1")
	proctest.Eventually(t, "a signal", func() error {
		_, err := r.Begin(t.Context(), about(1, "x", policy.Cancel), plenty)
		return err
	})
}

// A schema that changes under a replica ends its signals.
func TestASchemaThatChanges(t *testing.T) {
	s := database(t)
	r := opened(t, s, "a", nil)
	s.Exec(t, "update pgbailiff.migrations set version = 2")
	r.CheckSchema(t.Context())
	if _, err := r.Begin(t.Context(), about(1, "x", policy.Cancel), plenty); !errors.Is(err, pgledger.ErrSchema) {
		t.Errorf("%v", err)
	}
}

// Close writes what it can, and says what it cannot.
func TestClose(t *testing.T) {
	s := database(t)
	p := newPath(t, s)
	r, lost := over(t, s, p, "a"), pgledgerOpen(t, p.dsn(s))
	one, two := allowed(t, r, about(1, "one", policy.Cancel)), allowed(t, lost, about(2, "two", policy.Cancel))
	p.become(cut)
	for r, e := range map[replica]ledger.Entry{r: one, lost: two} {
		if err := r.Finish(shortly(t), became(e, ledger.Cancelled, true)); err == nil {
			t.Error("written")
		}
	}
	if err := lost.Close(); err == nil || !strings.Contains(err.Error(), "the outcome cancelled of two could not be written") {
		t.Errorf("%v", err)
	}
	p.become(whole)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	want := []string{"intent one", "intent two", "outcome one cancelled signalled"}
	if diff := cmp.Diff(want, lines(t, s)); diff != "" {
		t.Errorf("the lines (-want +got):\n%s", diff)
	}
	if err := r.Finish(t.Context(), became(two, ledger.Cancelled, true)); err == nil {
		t.Error("written after Close")
	}
}

func pgledgerOpen(t *testing.T, dsn string) replica {
	t.Helper()
	r := replica{metrics: ledger.NewMetrics(nil), log: &logged{}}
	var err error
	r.Store, err = pgledger.Open(context.WithoutCancel(t.Context()), options(r, dsn, "lost"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A call ends with its context, and what is under way when it does is cancelled.
func TestACallEndsWithItsContext(t *testing.T) {
	s := database(t)
	r := opened(t, s, "a", nil)
	holder := s.IdleInTransaction(t, "postgres", "lock table pgbailiff.signals in access exclusive mode")
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("given up")
	time.AfterFunc(50*time.Millisecond, func() { cancel(reason) })
	if _, err := r.Begin(ctx, about(1, "x", policy.Cancel), plenty); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	holder.Exec(t, "rollback")
}
