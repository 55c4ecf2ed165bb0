package pgledger

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// A question does not wait for a person if its caller was told that it failed, even
// if it was asked.
func TestAWithdrawnQuestionExpires(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	to := ledger.Postgres{DSN: server.DSN("postgres")}
	if err := Migrate(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Options{
		Config: ledger.Config{Postgres: to}, Replica: "one", Patience: func() time.Duration { return time.Minute },
		Logger: log.NewNopLogger(), Metrics: ledger.NewMetrics(nil),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	now := time.Now()
	asked := ledger.Entry{
		Time: now, ID: "A", Server: "orders", Action: "cancel", Target: ledger.Target{PID: 42},
		Question: ledger.Question{Until: now.Add(time.Hour)},
	}

	// The server refuses it: it was not asked.
	none := asked
	none.ID = "refused"
	server.Exec(t, "alter table pgbailiff.questions add constraint none check (id <> 'refused')")
	if _, _, err := s.Ask(t.Context(), none); err == nil {
		t.Error("it was asked")
	}
	if got := s.withdrawn.all(); len(got) != 0 {
		t.Errorf("%v may have been asked", got)
	}

	// Nobody knows.
	blocker := server.Connect(t, "postgres")
	if _, err := blocker.Exec(t.Context(), "select pg_advisory_lock(1885823596, 1)"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, _, err := s.Ask(ctx, asked)
		failed <- err
	}()
	server.WaitFor(t, "select exists (select from pg_locks where locktype = 'advisory' and not granted)")
	cancel()
	if err := <-failed; err == nil {
		t.Error("it was asked")
	}
	if got := s.withdrawn.all(); !slices.Equal(got, []string{"A"}) {
		t.Errorf("%v may have been asked", got)
	}
	if _, err := blocker.Exec(t.Context(), "select pg_advisory_unlock(1885823596, 1)"); err != nil {
		t.Fatal(err)
	}
	server.WaitFor(t, "select not exists (select from pg_stat_activity where application_name = $1 and state <> 'idle')", ApplicationName)
	if pgtest.Value[bool](t, server, "select not exists (select from pgbailiff.questions)") { // the cancel came in time
		if standing, _, err := s.Ask(t.Context(), asked); err != nil || standing != ledger.Waiting {
			t.Fatalf("%d, %v", standing, err)
		}
	}
	for range 2 {
		if err := s.Expire(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	lines := pgtest.Value[string](t, server, "select string_agg(event || ' ' || coalesce(entry ->> 'detail', '-'), ', ' order by seq) from pgbailiff.entries")
	if want := "asked -, expired " + ledger.NotAskedDetail; lines != want {
		t.Errorf("the lines are %s", lines)
	}
	s.withdrawn.forget(time.Now().Add(time.Second))
	if got := s.withdrawn.all(); len(got) != 0 {
		t.Errorf("%v are remembered for ever", got)
	}
}
