package pgledger_test

import (
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// The copy of every replica follows, whoever writes, and whatever the order in which
// lines become visible.
func TestTheCopyFollows(t *testing.T) {
	t.Parallel()
	s := database(t)
	one, other := opened(t, s, "one", nil), opened(t, s, "other", nil)
	s.Exec(t, `insert into pgbailiff.entries (time, entry)
		select now() - interval '1 hour' + i * interval '1 ms', jsonb_build_object('event', 'outcome', 'server', 's', 'decision', i::text)
		from generate_series(0, 599) i order by i`)
	late := s.Connect(t, "postgres")
	begin := `begin; insert into pgbailiff.entries (time, entry) values (clock_timestamp(), '{"event":"outcome","server":"s","decision":"late"}')`
	if _, err := late.Exec(t.Context(), begin); err != nil {
		t.Fatal(err)
	}
	if err := one.Append(t.Context(), ledger.Entry{Time: time.Now(), Server: "s", Decision: "early", Outcome: ledger.Gone}); err != nil {
		t.Fatal(err)
	}
	latest := func(r replica) string {
		var all []string
		for _, e := range r.Recent(3) {
			all = append(all, e.Decision)
		}
		return strings.Join(all, " ")
	}
	for _, r := range []replica{one, other} {
		proctest.Until(t, "the line is in the copy", func() bool { return latest(r) == "early 599 598" })
		if all := r.Recent(1000); len(all) != 500 || all[499].Decision != "101" || all[0].Time.IsZero() {
			t.Errorf("%d lines, the oldest %v", len(all), all[len(all)-1])
		}
	}
	if _, err := late.Exec(t.Context(), "commit"); err != nil {
		t.Fatal(err)
	}
	for _, r := range []replica{one, other} {
		proctest.Until(t, "the line that became visible late is in the copy", func() bool { return latest(r) == "early late 599" })
	}

	// Lines that were taken in from a file are old.
	s.Exec(t, `insert into pgbailiff.entries (time, entry)
		select now() - interval '2 h', '{"event":"outcome","server":"s","decision":"old"}' from generate_series(1, 600)`,
		`insert into pgbailiff.servers values ('orders', true), ('stock', false)`,
		`insert into pgbailiff.signals select n::text, 'orders', 'x', n, now(), now(), 'cancel', true, now() - n * n * interval '30 min', n = 5, n <> 4, true, 'o', now(), '{}', '{}'
			from generate_series(1, 5) n`)
	for _, r := range []replica{one, other} {
		proctest.Until(t, "the suspension shows", func() bool { return r.Suspended("orders") })
		if all := r.AllSuspended(); len(all) != 1 || all[0] != "orders" || r.Suspended("stock") || r.Suspended("unknown") {
			t.Errorf("others are suspended: %v", all)
		}
		if got := latest(r); got != "early late 599" {
			t.Errorf("the last lines are %s", got)
		}
		for window, want := range map[time.Duration]int{time.Hour: 1, 3 * time.Hour: 2, 20 * time.Hour: 3} {
			proctest.Until(t, "what is spent shows", func() bool { return r.Spent("orders", window, time.Now()) == want })
		}
		if n := r.Spent("stock", 20*time.Hour, time.Now()); n != 0 {
			t.Errorf("%d are spent", n)
		}
	}
}

// up is the value of pgbailiff_ledger_up.
func up(t *testing.T, r replica) float64 {
	t.Helper()
	var m dto.Metric
	if err := r.metrics.Up.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetGauge().GetValue()
}

// While the database is away, the copy stays as it was.
func TestTheCopyOutlivesTheDatabase(t *testing.T) {
	t.Parallel()
	s := database(t)
	r := opened(t, s, "one", nil)
	o := &office{desk: r, t: t, now: time.Now}
	o.ask(r, newQuestion("orders", "A", time.Now()), ledger.Waiting)
	s.Exec(t, `insert into pgbailiff.servers values ('orders', true)`)
	proctest.Until(t, "the suspension shows", func() bool { return r.Suspended("orders") })
	s.Stop(t)
	proctest.Until(t, "the metric shows it", func() bool { return up(t, r) == 0 })
	if !r.Suspended("orders") || len(r.Approvals(time.Now())) != 1 || len(r.Recent(10)) != 1 {
		t.Errorf("the copy is lost: %v", r.Recent(10))
	}
	for range 2 {
		if err := r.Expire(t.Context(), time.Now()); err == nil {
			t.Error("questions have expired without a database")
		}
	}
	s.Restart(t)
	s.Exec(t, `update pgbailiff.servers set suspended = false`)
	proctest.Until(t, "the copy follows again", func() bool { return !r.Suspended("orders") })
	proctest.Until(t, "questions expire again", func() bool { return r.Expire(t.Context(), time.Now()) == nil })
	if up(t, r) != 1 {
		t.Error("the metric does not show it")
	}
	if n := strings.Count(r.log.String(), "cannot be ended"); n != 1 {
		t.Errorf("it is logged %d times:\n%s", n, r.log)
	}
}

// A line that cannot be read does not hide the others.
func TestALineThatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := database(t)
	r := opened(t, s, "one", nil)
	s.Exec(t, `insert into pgbailiff.entries (time, entry) values
		(now(), '{"event":"outcome","server":"s","decision":"one"}'),
		(now(), '{"event":"outcome","server":"s","pid":"forty-two"}'),
		(now(), '{"event":"outcome","server":"s","decision":"two","of the future":1}')`)
	proctest.Until(t, "the others are in the copy", func() bool {
		all := r.Recent(3)
		return len(all) == 2 && all[0].Decision == "two" && all[1].Decision == "one"
	})
}
