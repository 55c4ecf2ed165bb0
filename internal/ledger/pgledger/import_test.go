package pgledger_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/ledger/pgledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// fileLedger is a ledger file in which something of everything has happened lately, and
// whose pgbailiff was killed in the middle of a signal and of an approval.
func fileLedger(t *testing.T, now time.Time) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ledger.jsonl")
	l, err := ledger.Open(ledger.Config{File: file}, log.NewNopLogger(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	limits := ledger.Limits{Actions: 100, Window: model.Duration(time.Hour), SuspendAfter: 2, SuspendWindow: model.Duration(time.Hour)}
	intent := func(server, id string, at time.Time) ledger.Entry {
		return ledger.Entry{Time: at, ID: id, Decision: "of " + id, Server: server, Target: ledger.Target{PID: 42}, Action: "cancel", Facts: ledger.Facts{Query: "select '<\x01\u2028é'"}}
	}
	signal := func(server, id string, at time.Time, sent bool) {
		e := intent(server, id, at)
		if begun, err := l.Begin(t.Context(), e, limits); err != nil || begun.Allowance != ledger.Allowed {
			t.Fatalf("%s: %v, %v", id, begun, err)
		}
		e.Outcome, e.Signalled = ledger.Cancelled, sent
		if err := l.Finish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	signal("orders", "A", now.Add(-50*time.Minute), true)
	signal("orders", "not sent", now.Add(-40*time.Minute), false)
	signal("stock", "yesterday", now.Add(-25*time.Hour), true)
	signal("stock", "S", now.Add(-30*time.Minute), true)
	signal("stock", "T", now.Add(-10*time.Minute), true) // which suspends it
	if _, err := l.Begin(t.Context(), intent("orders", "under way", now.Add(-time.Minute)), limits); err != nil {
		t.Fatal(err)
	}
	o := &office{t: t, now: func() time.Time { return now }}
	for _, id := range []string{"waits", "approved", "denied"} {
		o.ask(l, newQuestion(id, id, now), ledger.Waiting)
	}
	o.answer(l, "approved", ledger.EventApproved)
	o.answer(l, "denied", ledger.EventDenied)
	if err := l.Reloaded(t.Context(), "ann", now); err != nil {
		t.Fatal(err)
	}
	return file
}

// wholeLedger is a ledger of which a test asks everything.
type wholeLedger interface {
	desk
	Suspended(server string) bool
	Spent(server string, window time.Duration, now time.Time) int
}

// holds checks what must hold in every ledger after that, whatever it is kept in.
func holds(t *testing.T, l wholeLedger, now time.Time) {
	t.Helper()
	proctest.Until(t, "only stock is suspended", func() bool { return l.Suspended("stock") && !l.Suspended("orders") })
	for server, want := range map[string]int{"orders": 2, "stock": 2, "billing": 0} {
		proctest.Until(t, fmt.Sprint(want, " are spent on ", server), func() bool { return l.Spent(server, 2*time.Hour, now) == want })
	}
	o := &office{t: t, now: time.Now}
	o.waits(l, "waits")
	if got := l.Approvals(now)[0]; got.Labels["team"] != "shop\n<b>" || !got.Time.Equal(now) || !got.Until.Equal(now.Add(30*time.Minute)) {
		t.Errorf("what waits is %v", got)
	}
	if got := o.ask(l, newQuestion("waits", "again", now), ledger.Waiting); got.ID != "waits" {
		t.Errorf("what waits is asked again: %v", got)
	}
	if got := o.ask(l, newQuestion("denied", "again", now), ledger.Denied); got.By != "ann" || !got.Time.Equal(now) {
		t.Errorf("the denial is %v", got)
	}
	o.says(l, "outcome approved failed", "outcome of under way failed", "reloaded", "denied denied", "approved approved")
}

// A file goes into the database and out again, and loses nothing that counts.
func TestAFileIsTakenInAndWrittenOut(t *testing.T) {
	t.Parallel()
	s := database(t)
	to := ledger.Postgres{DSN: s.DSN("postgres")}
	now := time.Now().UTC().Truncate(time.Microsecond)
	file := fileLedger(t, now)
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	contents, err := pgledger.Import(t.Context(), to, file, false)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := pgledger.Export(t.Context(), to, time.Time{}, &out); err != nil {
		t.Fatal(err)
	}
	got, want := strings.SplitAfter(out.String(), "\n"), strings.SplitAfter(string(before), "\n")
	got, want = got[:len(got)-1], want[:len(want)-1]
	if n := len(want); len(got) != n+2 || contents.Lines != n+2 {
		t.Fatalf("%d lines, and %d are exported of %d", contents.Lines, len(got), n)
	}
	if diff := cmp.Diff(want, got[:len(want)]); diff != "" {
		t.Errorf("the lines (-file +exported):\n%s", diff)
	}
	holds(t, opened(t, s, "one", nil), now)

	again := filepath.Join(t.TempDir(), "exported.jsonl")
	if err := os.WriteFile(again, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(ledger.Config{File: again}, log.NewNopLogger(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	holds(t, l, now)

	out.Reset()
	if err := pgledger.Export(t.Context(), to, now.Add(-30*time.Minute), &out); err != nil {
		t.Fatal(err)
	}
	var first ledger.Entry
	if err := json.NewDecoder(&out).Decode(&first); err != nil || first.ID != "S" || first.Event != ledger.EventIntent {
		t.Errorf("since then the first line is %v, %v", first, err)
	}
}

func TestAFileIsTakenInOnce(t *testing.T) {
	t.Parallel()
	s := database(t)
	to := ledger.Postgres{DSN: s.DSN("postgres")}
	now := time.Now().UTC().Truncate(time.Microsecond)
	one, other := fileLedger(t, now), fileLedger(t, now.Add(-time.Second))
	rows := func() string {
		return pgtest.Value[string](t, s, `select concat_ws(' ', (select count(*) from pgbailiff.entries), (select count(*) from pgbailiff.signals),
			(select count(*) from pgbailiff.questions), (select count(*) from pgbailiff.servers))`)
	}
	refused := func(file string, add bool, want string) {
		t.Helper()
		before := rows()
		_, err := pgledger.Import(t.Context(), to, file, add)
		if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("it says %v, want %s", err, want)
		}
		if after := rows(); after != before {
			t.Errorf("rows before %s, after %s", before, after)
		}
	}
	refused("missing", false, "no such file")
	if _, err := pgledger.Import(t.Context(), to, one, false); err != nil {
		t.Fatal(err)
	}
	refused(one, false, "--append")
	refused(other, false, "--append")
	refused(one, true, "lines of this file already")
	// A question that waits already is not asked twice, and a suspension stays.
	s.Exec(t, "update pgbailiff.servers set resumed_at = now() where server = 'stock'")
	if _, err := pgledger.Import(t.Context(), to, other, true); err != nil {
		t.Fatal(err)
	}
	refused(other, true, "lines of this file already")
	alike := filepath.Join(t.TempDir(), "alike.jsonl")
	text := fmt.Sprintf(`{"time":%q,"event":"reloaded","server":"","pid":0,"by":"bob"}`, now.Format(time.RFC3339Nano)) + `
		{"time":"2026-11-22T12:00:00Z","event":"suspended","server":"stock","pid":0}
		{"time":"2026-11-22T12:00:01Z","event":"resumed","server":"stock","pid":0}`
	if err := os.WriteFile(alike, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := pgledger.Import(t.Context(), to, alike, true); err != nil {
		t.Error(err)
	}
	if got := rows(); got != "43 4 2 1" {
		t.Errorf("the rows are %s", got)
	}
	if !pgtest.Value[bool](t, s, "select suspended and resumed_at > now() - interval '1 h' from pgbailiff.servers") {
		t.Error("the suspension has ended")
	}
}

// A file that somebody writes to is not taken in.
func TestAFileInUseIsNotTakenIn(t *testing.T) {
	t.Parallel()
	s := database(t)
	file := fileLedger(t, time.Now())
	blocker := s.Connect(t, "postgres")
	if _, err := blocker.Exec(t.Context(), "select pg_advisory_lock(1885823596, 1)"); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		_, err := pgledger.Import(t.Context(), ledger.Postgres{DSN: s.DSN("postgres")}, file, false)
		failed <- err
	}()
	s.WaitFor(t, "select exists (select from pg_locks where locktype = 'advisory' and not granted)")
	l, err := ledger.Open(ledger.Config{File: file}, log.NewNopLogger(), nil) // which ends what was under way
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := blocker.Exec(t.Context(), "select pg_advisory_unlock(1885823596, 1)"); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "stop the pgbailiff") {
		t.Errorf("it says %v", err)
	}
	if n := pgtest.Value[int](t, s, "select count(*)::int from pgbailiff.entries"); n != 0 {
		t.Errorf("%d lines were taken in", n)
	}
}

// Many lines are many batches, in one transaction.
func TestAFileOfManyLines(t *testing.T) {
	t.Parallel()
	s := database(t)
	to := ledger.Postgres{DSN: s.DSN("postgres")}
	var text strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&text, `{"time":"2026-11-22T12:00:00Z","event":"outcome","decision":"%d","server":"nul \u0000","pid":1}`+"\n", i)
	}
	file := filepath.Join(t.TempDir(), "ledger.jsonl")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := pgledger.Import(t.Context(), to, file, false); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := pgledger.Export(t.Context(), to, time.Time{}, &out); err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(out.String()) {
		if !strings.Contains(line, fmt.Sprintf(`"decision":"%d"`, n)) || !strings.Contains(line, "nul \uFFFD") {
			t.Fatalf("line %d is %s", n, line)
		}
		n++
	}
	if n != 1500 {
		t.Errorf("%d lines", n)
	}
	r := opened(t, s, "one", nil)
	proctest.Until(t, "the last lines are in the copy", func() bool { return len(r.Recent(1)) == 1 && r.Recent(1)[0].Decision == "1499" })
}

// What cannot be written is said, without the password.
func TestTheErrorsOfTheCommands(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t)
	file := fileLedger(t, time.Now())
	for name, tt := range map[string]struct {
		to   ledger.Postgres
		want string
	}{
		"no schema":        {ledger.Postgres{DSN: s.DSN("postgres")}, "pgbailiff ledger migrate"},
		"no DSN":           {ledger.Postgres{DSN: "postgresql://u:sEcret@h:port/d"}, "remediation.ledger.postgres.dsn"},
		"no such role":     {ledger.Postgres{DSN: strings.Replace(s.DSN("nobody"), "nobody@", "nobody:sEcret@", 1)}, "nobody"},
		"no password file": {ledger.Postgres{DSN: s.DSN("postgres"), PasswordFile: "missing"}, "remediation.ledger.postgres.password_file"},
	} {
		_, imported := pgledger.Import(t.Context(), tt.to, file, false)
		exported := pgledger.Export(t.Context(), tt.to, time.Time{}, &bytes.Buffer{})
		for _, err := range []error{imported, exported} {
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "sEcret") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
