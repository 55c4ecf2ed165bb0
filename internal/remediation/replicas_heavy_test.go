//go:build heavy

package remediation_test

// In this file: races and pids that are used again, through two replicas.

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// The pid in the alert belongs to another session by now.
func TestReusedPidAtTwoReplicas(t *testing.T) {
	pgtest.InPIDNamespace(t, func() {
		srv := pgtest.Start(t)
		r := newReplicas(t, srv, srv)
		named := srv.Run(t, "app", "select pg_sleep(60)")
		alert, raised := identity(t, named, "critical", "query_start"), time.Now()
		srv.Exec(t, fmt.Sprintf("select pg_terminate_backend(%d)", named.PID()))
		_ = named.Wait(t)

		innocent := srv.OpenWithPID(t, named.PID(), "app")
		innocent.Start(t, "select pg_sleep(60)")
		stays := untouched(t, srv, innocent.PID())
		for range 20 {
			for _, of := range r.deliver(t, alert, alert.with("severity", "warning")) {
				if n := outcomes(of); n[ledger.Gone] != 2 {
					t.Errorf("they ended %v", n)
				}
			}
			for _, b := range r.all {
				if got := b.remediate(t, raised, pidOnly(innocent.PID()).with("severity", "critical"))[0]; got.Outcome != ledger.Gone {
					t.Errorf("a pid alone: %+v", got)
				}
			}
		}
		stays()
		if n := r.signals.total(); n != 0 {
			t.Errorf("%d signals", n)
		}
	})
}

// The pid is used again between the look of both replicas and their signals.
func TestAPidThatIsReusedUnderTwoReplicas(t *testing.T) {
	pgtest.InPIDNamespace(t, func() {
		srv := pgtest.Start(t)
		var reuse func()
		both := barrier(1, func() { reuse() })
		r := newReplicas(t, srv, srv, hooked(&hooks{}))
		named := srv.Run(t, "app", "select pg_sleep(60)")
		var innocent *pgtest.Client
		reuse = func() {
			end(t, srv, named)
			innocent = srv.OpenWithPID(t, named.PID(), "app")
			innocent.Start(t, "select pg_sleep(60)")
		}
		once := sync.OnceFunc(both)
		for _, b := range r.all {
			b.settings.Servers["orders"] = &hooks{Server: b.settings.Servers["orders"], beforeSignal: func(int, session.Verb) error {
				once()
				return nil
			}}
			b.start()
		}
		for _, of := range r.deliver(t, identity(t, named, "critical", "query_start")) {
			if of[0].Outcome != ledger.Gone {
				t.Errorf("it ended %+v", of[0])
			}
		}
		untouched(t, srv, innocent.PID())()
		if n := r.signals.total(); n != 0 || !innocent.Running() {
			t.Errorf("%d signals", n)
		}
		r.checkSteps(t)
	})
}

// runner is a session that runs one statement after the other and counts which were
// hit. They end by themselves about when the signal comes.
type runner struct {
	conn *pgx.Conn
	mu   sync.Mutex
	hits map[string]int // by statement
	runs int
}

func (v *runner) run(ctx context.Context, i int) {
	for n := 0; ctx.Err() == nil; n++ {
		query := fmt.Sprintf("select /* %d/%d */ pg_sleep(%f)", i, n, 0.1*rand.Float64())
		_, err := v.conn.PgConn().Exec(ctx, query).ReadAll()
		v.mu.Lock()
		v.runs++
		if sqlstate(err) == "57014" {
			v.hits[query]++
		}
		v.mu.Unlock()
	}
}

// Many statements end just when both replicas cancel them. Each is hit at most once,
// and a statement that nobody ordered to be hit only where the ledger admits it.
func TestRacesThroughTwoReplicas(t *testing.T) {
	srv := pgtest.Start(t, "max_connections=200")
	r := newReplicas(t, srv, srv, shortVerify)
	for _, b := range r.all {
		b.quiet()
	}
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	runners := make([]*runner, 12)
	for i := range runners {
		runners[i] = &runner{conn: srv.Connect(t, "app", pgtest.AppName("crowd")), hits: map[string]int{}}
		all.Go(func() { runners[i].run(ctx, i) })
	}
	eyes := srv.Connect(t, "mon")
	for round := 0; round < 200 && r.signals.total() < 150; round++ {
		r.give(t, alertsSeenBy(t, eyes, "warning")...)
	}
	stop()
	all.Wait()
	intended, doubts := map[string]int{}, 0
	for _, line := range r.lines(t) {
		switch {
		case line.Event == ledger.EventIntent:
			intended[line.Query]++
		case line.Outcome == ledger.Superseded, line.Outcome == ledger.Cancelled && line.Detail != "":
			doubts++
		}
	}
	hits, wrong, runs := 0, 0, 0
	for _, v := range runners {
		runs += v.runs
		for query, n := range v.hits {
			hits += n
			if n > 1 {
				t.Errorf("%s was hit %d times", query, n)
			}
			if intended[query] == 0 {
				wrong++
			}
		}
	}
	t.Logf("%d statements, %d intents, %d signals, %d hits, %d of them in doubt, %d wrong", runs, len(intended), r.signals.total(), hits, doubts, wrong)
	if wrong > doubts || hits > r.signals.total() {
		t.Errorf("%d statements were hit that nobody ordered, and the ledger admits %d", wrong, doubts)
	}
	if gone := len(intended) - r.signals.total(); gone < 1 || hits < 20 {
		t.Errorf("%d statements ended right before their signal; this proves little", gone)
	}
	r.checkSteps(t)
}

// Transactions go from one statement to the next while both replicas judge each
// statement anew.
func TestTransactionsThatMoveOnUnderTwoReplicas(t *testing.T) {
	srv := pgtest.Start(t, "max_connections=200")
	r := newReplicas(t, srv, srv, rules(t, policy.RuleConfig{
		Name: "selects", Matchers: []string{`command="SELECT"`}, Action: policy.Terminate,
	}))
	var alerts []labels
	var all sync.WaitGroup
	ended := make([]bool, 12)
	for i := range ended {
		conn := srv.Connect(t, "app")
		for _, sql := range []string{"begin", "select 1"} {
			if _, err := conn.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		alerts = append(alerts, backendIdentity(t, srv, int(conn.PgConn().PID()), "xact_start").with("severity", "warning"))
		all.Go(func() {
			for n := range 400 {
				if _, err := conn.Exec(t.Context(), fmt.Sprintf("select %d, pg_sleep(%f)", n, 0.1*rand.Float64())); err != nil {
					ended[i] = true
					return
				}
			}
		})
	}
	for _, of := range r.deliver(t, alerts...) {
		for _, got := range of {
			switch got.Outcome {
			case ledger.Terminated, ledger.Gone, ledger.Superseded: // the last one: by the successor of what was judged
			default:
				if got.Outcome != ledger.Failed || !strings.Contains(got.Detail, "too fast") {
					t.Errorf("%+v", got)
				}
			}
		}
	}
	all.Wait()
	gone := 0
	for i, alert := range alerts {
		pid, err := strconv.Atoi(alert["pid"])
		if n := r.signals.of(pid, session.Terminate); err != nil || n > 1 || (n == 1) != ended[i] {
			t.Errorf("pid %d was signalled %d times, and ended %t", pid, n, ended[i])
		}
		if ended[i] {
			gone++
		}
	}
	if gone < len(ended)/2 {
		t.Errorf("%d of %d sessions ended; this proves little", gone, len(ended))
	}
	r.checkSteps(t)
}

// Of several people who order the same at once, at any replica, and of alerts about
// it, exactly one hits the session.
func TestPeopleWhoPressAtOnceAtTwoReplicas(t *testing.T) {
	srv := pgtest.Start(t)
	r := newReplicas(t, srv, srv)
	for range 5 {
		for name, kind := range kinds(srv) {
			c := kind.open(t)
			f := seen(t, c)
			before := r.signals.total()
			results := make([]remediation.Result, 10)
			var all sync.WaitGroup
			for i := range results {
				all.Go(func() {
					results[i] = r.all[i%2].remediator.Remediate(t.Context(), remediation.Manual(fmt.Sprint("person ", i), "", orders(kind.action), f, nil))
				})
			}
			all.Wait()
			n := outcomes(results)
			if n[ledger.Cancelled]+n[ledger.Terminated]+n[ledger.Gone] != len(results) || repeatHelps(results) {
				t.Errorf("%s: they ended %v", name, n)
			}
			if sent := r.signals.total() - before; sent != 1 {
				t.Errorf("%s: %d signals", name, sent)
			}
		}
	}
	r.checkSteps(t)
}
