//go:build heavy

package postgres_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/postgres"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// These tests are about the race that no fence can close from SQL: the named query
// ends by itself in the microseconds between the statement's read and its signal,
// and its session begins another one. Every cancel here is aimed at that instant.

// targetTime is how long the named query runs.
const targetTime = 10 * time.Millisecond

// raceTarget is one session, driven in the plain protocol.
type raceTarget struct {
	fe    *pgproto3.Frontend
	pid   int32
	kind  string // of the statements that follow the named one: fast, slow, pipe
	begun chan struct{}
	hits  chan []int // of each run: which statements got 57014; 0 is the named one
}

func newRaceTarget(t testing.TB, srv *pgtest.Server, kind string) *raceTarget {
	t.Helper()
	conn, err := pgx.Connect(proctest.Deadline(t), srv.DSN("app"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := conn.PgConn().Hijack()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Conn.Close() })
	return &raceTarget{
		fe: raw.Frontend, pid: int32(raw.PID), kind: kind,
		begun: make(chan struct{}), hits: make(chan []int, 1),
	}
}

// run sends the named query and then innocent ones, until well after the cancel.
func (v *raceTarget) run() {
	innocent := "select 1"
	if v.kind == "slow" {
		innocent = "select count(*) from generate_series(1, 6000)"
	}
	var hits []int
	n := 0
	send := func(sql string) { v.fe.Send(&pgproto3.Query{String: sql}) }
	receive := func() bool {
		for {
			m, err := v.fe.Receive()
			if err != nil {
				return false
			}
			switch m := m.(type) {
			case *pgproto3.ErrorResponse:
				if m.Code == "57014" {
					hits = append(hits, n)
				}
			case *pgproto3.ReadyForQuery:
				n++
				return true
			}
		}
	}
	send(fmt.Sprintf("select pg_sleep(%f)", targetTime.Seconds()))
	queued := 1
	for v.kind == "pipe" && queued < 400 {
		send(innocent)
		queued++
	}
	_ = v.fe.Flush()
	v.begun <- struct{}{}
	end := time.Now().Add(2 * targetTime)
	for ok := true; ok && n < queued; {
		ok = receive()
	}
	for ok := true; ok && time.Now().Before(end); {
		send(innocent)
		_ = v.fe.Flush()
		ok = receive()
	}
	v.hits <- hits
}

// tally counts how trials ended.
type tally struct {
	trials, signalled, right, wrong int
	// reported: wrong hits reported as superseded; doubted: wrong hits reported as
	// cancelled with a doubt on record; unreported: wrong hits reported as cancelled;
	// alarms: right hits reported as superseded.
	reported, doubted, unreported, alarms int
}

func (c tally) String() string {
	return fmt.Sprintf("%d trials, %d signalled, %d right, %d wrong (%d superseded, %d in doubt, %d unreported), %d false alarms",
		c.trials, c.signalled, c.right, c.wrong, c.reported, c.doubted, c.unreported, c.alarms)
}

// raceSignals aims this many cancels at the end of the named query, 2 ms more or
// less. byPID cancels by pid alone, as a control.
func raceSignals(t testing.TB, srv *pgtest.Server, s *postgres.Server, kind string, byPID bool, trials int) tally {
	t.Helper()
	v := newRaceTarget(t, srv, kind)
	control := srv.Connect(t, "monsig")
	count := tally{trials: trials}
	for range trials {
		go v.run()
		<-v.begun
		begun := time.Now()
		seen, ok, err := s.Find(context.Background(), v.pid)
		if err != nil || !ok {
			t.Fatalf("find: %t, %v", ok, err)
		}
		roundTrip := time.Since(begun)
		<-time.After(time.Until(begun.Add(targetTime - roundTrip - 2*time.Millisecond + rand.N(4*time.Millisecond))))
		signalled, met := true, remediation.MetTarget
		switch {
		case byPID:
			if _, err := control.Exec(context.Background(), "select pg_cancel_backend($1)", v.pid); err != nil {
				t.Fatal(err)
			}
		case seen.State != session.StateActive || !strings.Contains(seen.Query, "pg_sleep"): // too late to name it
			signalled = false
		default:
			got, err := s.Signal(context.Background(), session.Cancel, fence(seen))
			if err != nil {
				t.Fatal(err)
			}
			signalled = got.Verdict == session.VerdictSignalled
			met = settled(t, s, session.Cancel, fence(seen), got, seen.ID)
		}
		count.add(signalled, met, <-v.hits)
	}
	return count
}

func (c *tally) add(signalled bool, met remediation.Effect, hits []int) {
	if !signalled {
		return
	}
	c.signalled++
	for _, n := range hits {
		switch {
		case n == 0:
			c.right++
			if met == remediation.MetSuccessor {
				c.alarms++
			}
		case met == remediation.MetSuccessor:
			c.wrong++
			c.reported++
		case met == remediation.PerhapsSuccessor:
			c.wrong++
			c.doubted++
		default:
			c.wrong++
			c.unreported++
		}
	}
}

func TestNoWrongHitIsUnreported(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	for _, kind := range []string{"fast", "slow", "pipe"} {
		t.Run(kind, func(t *testing.T) {
			guarded := raceSignals(t, srv, s, kind, false, 200)
			control := raceSignals(t, srv, s, kind, true, 100)
			for tries := 0; control.wrong == 0 && tries < 20; tries++ {
				control = raceSignals(t, srv, s, kind, true, 100)
			}
			t.Logf("fence: %s", guarded)
			t.Logf("by pid: %s", control)
			if guarded.unreported > 0 {
				t.Error("wrong hits went unreported")
			}
			if guarded.right == 0 || control.wrong == 0 {
				t.Error("the trials prove nothing")
			}
		})
	}
}

func TestATargetHitIsNeverReportedAsSuccessorInManyTrials(t *testing.T) { falseAlarms(t, 50) }

// BenchmarkAdversary gives the figures of docs/operations.md: 10,000 trials at the
// fence, and 1,000 by pid beside each kind as a control.
func BenchmarkAdversary(b *testing.B) {
	srv := pgtest.Start(b)
	s := start(b, srv, "monsig")
	for _, kind := range []string{"fast", "slow", "pipe"} {
		b.Run(kind, func(b *testing.B) {
			for b.Loop() {
				guarded := raceSignals(b, srv, s, kind, false, 10000/3+1)
				control := raceSignals(b, srv, s, kind, true, 1000)
				b.ReportMetric(float64(guarded.signalled), "signalled")
				b.ReportMetric(float64(guarded.wrong), "wrong")
				b.ReportMetric(float64(guarded.doubted), "in-doubt")
				b.ReportMetric(float64(guarded.unreported), "unreported")
				b.ReportMetric(float64(guarded.alarms), "false-alarms")
				b.ReportMetric(100*float64(control.wrong)/float64(control.signalled), "control-wrong-%")
			}
		})
	}
}
