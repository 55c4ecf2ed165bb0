package pgledger_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// desk is a ledger where people are asked, of one process.
type desk interface {
	Ask(ctx context.Context, asked ledger.Entry) (ledger.Standing, ledger.Entry, error)
	Answer(ctx context.Context, id string, answer ledger.Event, by, comment string, now time.Time) (ledger.Entry, error)
	Approvals(now time.Time) []ledger.Entry
	Expire(ctx context.Context, now time.Time) error
	Append(ctx context.Context, e ledger.Entry) error
	Recent(n int) []ledger.Entry
}

// office is a ledger whose time a test lets pass.
type office struct {
	desk
	t *testing.T
	// other is another process with the same ledger: of a file, the next one.
	other func() desk
	// crash ends the process in the middle of something, and returns what holds then.
	crash func() desk
	// pass lets time pass, at once.
	pass func(time.Duration)
	now  func() time.Time
}

// inEveryOffice runs a test with a ledger in a file, and with one in PostgreSQL.
func inEveryOffice(t *testing.T, s *pgtest.Server, name string, test func(*testing.T, *office)) {
	t.Run(name+" in a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "ledger.jsonl")
		open := func() *ledger.Ledger {
			l, err := ledger.Open(ledger.Config{File: file}, log.NewNopLogger(), nil)
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		l, now := open(), time.Now()
		t.Cleanup(func() { _ = l.Close() })
		o := &office{desk: l, t: t, pass: func(d time.Duration) { now = now.Add(d) }, now: func() time.Time { return now }}
		o.other = func() desk {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = open()
			o.desk = l
			return l
		}
		o.crash = o.other
		test(t, o)
	})
	t.Run(name+" in PostgreSQL", func(t *testing.T) {
		s.Exec(t, "truncate pgbailiff.entries, pgbailiff.signals, pgbailiff.servers, pgbailiff.questions")
		o := &office{desk: opened(t, s, "one", nil), t: t, now: time.Now}
		other := opened(t, s, "other", nil)
		o.other = func() desk { return other }
		o.pass = func(d time.Duration) {
			s.Exec(t, strings.ReplaceAll("update pgbailiff.questions set until = until - interval 'D', answered_at = answered_at - interval 'D'", "D", d.String()))
		}
		o.crash = func() desk { // the housekeeping of another replica notices it after the patience of a minute
			o.pass(time.Minute)
			if err := other.Expire(t.Context(), time.Now()); err != nil {
				t.Error(err)
			}
			return other
		}
		test(t, o)
	})
}

// newQuestion is about the statement that the backend 42 has run since noon. It waits
// for half an hour.
func newQuestion(server, id string, at time.Time) ledger.Entry {
	return ledger.Entry{
		Time: at, ID: id, Server: server, Action: "cancel", Reason: "approval", Rule: "ask first",
		Target: ledger.Target{PID: 42, BackendStart: ledger.Time{Time: noon.Add(-time.Hour)}, QueryStart: ledger.Time{Time: noon}},
		Origin: ledger.Origin{Source: ledger.SourceAlert, Alertname: "Slow", Severity: "warning", Fingerprint: "c0ffee"},
		Facts:  ledger.Facts{Datname: "shop", Usename: "app", Query: "select 1"},
		Question: ledger.Question{
			Labels:   map[string]string{"alertname": "Slow", "team": "shop\n<b>"},
			StartsAt: noon.Add(-time.Minute + 123456789), Until: at.Add(30 * time.Minute),
		},
	}
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// ask asks a question, and checks how it stands.
func (o *office) ask(at desk, e ledger.Entry, want ledger.Standing) ledger.Entry {
	o.t.Helper()
	got, known, err := at.Ask(o.t.Context(), e)
	if err != nil || got != want {
		o.t.Fatalf("Ask(%s) = %d, %v, want %d", e.ID, got, err, want)
	}
	return known
}

// answer answers a question as ann.
func (o *office) answer(at desk, id string, event ledger.Event) ledger.Entry {
	o.t.Helper()
	e, err := at.Answer(o.t.Context(), id, event, "ann", "because of "+id, o.now())
	if err != nil {
		o.t.Fatalf("Answer(%s) = %v", id, err)
	}
	return e
}

// waits checks what waits, as soon as the process may know it.
func (o *office) waits(at desk, want string) {
	o.t.Helper()
	got := func() string {
		var all []string
		for _, e := range at.Approvals(o.now()) {
			all = append(all, e.ID)
		}
		return strings.Join(all, " ")
	}
	proctest.Until(o.t, "only "+want+" waits", func() bool { return got() == want })
}

// says checks the last lines, newest first, as soon as the process may know them.
func (o *office) says(at desk, want ...string) {
	o.t.Helper()
	got := func() string {
		var all []string
		for _, e := range at.Recent(len(want)) {
			all = append(all, strings.TrimSpace(string(e.Event)+" "+e.Decision+" "+string(e.Outcome)))
		}
		return strings.Join(all, ", ")
	}
	proctest.Until(o.t, "the last lines are "+strings.Join(want, ", ")+", not "+got(), func() bool { return got() == strings.Join(want, ", ") })
}
