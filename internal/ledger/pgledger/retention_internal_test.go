package pgledger

import (
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// What is old goes, but nothing that counts, holds a step, waits or suspends.
func TestCleanRemovesWhatIsOld(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	to := ledger.Postgres{DSN: server.DSN("postgres")}
	if err := Migrate(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	store := func(retention time.Duration) *Store {
		s, err := Open(t.Context(), Options{
			Config: ledger.Config{Postgres: to, Retention: model.Duration(retention)}, Replica: "one",
			Patience: func() time.Duration { return time.Minute }, Logger: log.NewNopLogger(), Metrics: ledger.NewMetrics(nil),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	}
	fill := func() {
		server.Exec(t, `truncate pgbailiff.entries, pgbailiff.signals, pgbailiff.servers, pgbailiff.questions`,
			`insert into pgbailiff.servers values ('suspended', true), ('resumed', false)`,
			`insert into pgbailiff.signals
				select id, 's', id, 1, now(), now(), 'cancel', holds, now() - age::interval, false, true, true, 'o', now(), '{}', outcome::jsonb
				from (values ('under way', true, '40 days', null), ('counts', false, '23 h', '{}'), ('counted', false, '25 h', '{}'),
					('holds', true, '6 days', '{}'), ('held', true, '8 days', '{}')) v (id, holds, age, outcome)`,
			`insert into pgbailiff.questions (id, server, target, action, asked_at, until, answer, answered_at, acted, asked)
				select id, 's', id, 'cancel', now() - interval '40 days', now() + interval '1 h', answer, now() - age::interval, acted, '{}'
				from (values ('waits', null, '40 days', false), ('to do', 'approved', '40 days', false), ('done', 'approved', '8 days', true),
					('just done', 'approved', '6 days', true), ('expired', 'expired', '8 days', false), ('just expired', 'expired', '6 days', false),
					('denied', 'denied', '29 days', false), ('denied once', 'denied', '31 days', false)) v (id, answer, age, acted)`,
			`insert into pgbailiff.entries (time, entry)
				select now() - age::interval, jsonb_build_object('event', event, 'server', server, 'id', id)
				from (values ('outcome', 's', 'old', '31 days'), ('outcome', 's', 'young', '29 days'), ('intent', 's', 'under way', '40 days'),
					('asked', 's', 'waits', '40 days'), ('approved', 's', 'to do', '40 days'), ('approved', 's', 'done', '40 days'),
					('suspended', 'suspended', 'suspends', '40 days'), ('suspended', 'resumed', 'suspended', '40 days')) v (event, server, id, age)`,
			`insert into pgbailiff.entries (time, entry)
				select now() - interval '31 days', '{"event":"outcome","server":"s","id":"old"}' from generate_series(1, 2500)`)
	}
	left := func(table string) string {
		return pgtest.Value[string](t, server, "select coalesce(string_agg(distinct id, ', ' order by id), '') from pgbailiff."+table)
	}
	check := func(what string, want map[string]string) {
		t.Helper()
		for table, want := range want {
			if got := left(table); got != want {
				t.Errorf("%s: the %s are %s, want %s", what, table, got, want)
			}
		}
	}
	month, ever := store(30*24*time.Hour), store(0)

	fill()
	if err := month.clean(t.Context()); err != nil {
		t.Fatal(err)
	}
	signals := "counts, holds, under way"
	check("a month", map[string]string{
		"entries": "suspends, to do, under way, waits, young", "signals": signals,
		"questions": "denied, just done, just expired, to do, waits",
	})
	fill()
	if err := store(24 * time.Hour).clean(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("a day", map[string]string{
		"entries": "suspends, to do, under way, waits", "signals": signals, "questions": "to do, waits",
	})
	fill()
	entries := left("entries")
	if err := ever.clean(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("for ever", map[string]string{
		"entries": entries, "signals": signals,
		"questions": "denied, denied once, just done, just expired, to do, waits",
	})

	// Somebody else does it.
	fill()
	before := map[string]string{"entries": left("entries"), "signals": left("signals"), "questions": left("questions")}
	cleaner := server.Connect(t, "postgres")
	if _, err := cleaner.Exec(t.Context(), "select pg_advisory_lock(1885823596, 2)"); err != nil {
		t.Fatal(err)
	}
	if err := month.clean(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("somebody else", before)

	server.Stop(t)
	if err := month.clean(t.Context()); err == nil {
		t.Error("nothing was said")
	}
}
