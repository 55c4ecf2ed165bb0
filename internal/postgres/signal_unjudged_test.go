package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// byTransaction is a fence on the session's transaction, whatever it does there.
func byTransaction(s session.Found) session.Fence {
	return session.Fence{Server: s.Server, PID: s.PID, BackendStart: s.BackendStart, XactStart: s.XactStart}
}

// A fence on a transaction says nothing about its statement. A statement whose text
// may be maintenance or a backup is not signalled: it must be judged and named in
// the fence. The text is only searched for words, because a false alarm costs no
// more than one more look.
func TestATransactionMayNotBeSignalledInAProtectedStatement(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	for _, text := range []string{
		"select 1 as cluster",
		"select 1 -- CONCURRENTLY",
		"select 'Vacuum'",
		"select 1 as reindexed",
		"select 1 as \"REPACK\"",
		"select 'pg_backup_start', 'pg_start_backup'",
		"select 'pg_backup_stop'",
		"select 'pg_stop_backup'",
		"select 'caf\u00e9vacuum\u00e9'",
		`select E'\\vacuum'`,
		"/* so long that the text is cut off before the word" + strings.Repeat(" x", 512) + " */ select 1 as reindex",
	} {
		t.Run(text[:min(len(text), 50)], func(t *testing.T) {
			c := srv.IdleInTransaction(t, "app", "select 1")
			c.Start(t, text+"\n, pg_sleep(60)")
			seen := find(t, s, c)
			for _, verb := range []session.Verb{session.Cancel, session.Terminate} {
				got, err := s.Signal(proctest.Deadline(t), verb, byTransaction(seen))
				if err != nil || got.Verdict != session.VerdictUnjudged || got.After.Present {
					t.Errorf("%s: %+v, %v", verb, got, err)
				}
			}
			if !c.Running() {
				t.Fatal("its statement was cancelled")
			}
			// Judged and named in the fence, it is signalled.
			got, err := s.Signal(proctest.Deadline(t), session.Cancel, byTransaction(seen).Narrow(seen.Session, session.ScopeStatement))
			if err != nil || got.Verdict != session.VerdictSignalled {
				t.Errorf("named in the fence: %+v, %v", got, err)
			}
			if state := sqlstate(c.Wait(t)); state != "57014" {
				t.Errorf("the client saw %q", state)
			}
		})
	}
}

// The verdicts moved and gone go before unjudged, because with them the text does not
// matter.
func TestVerdictsOfASignalByTransaction(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	idle := srv.IdleInTransaction(t, "app", "select 'vacuum'")
	harmless := srv.IdleInTransaction(t, "app", "select 1")
	seen := find(t, s, idle)
	other := byTransaction(seen)
	other.XactStart = other.XactStart.Add(time.Microsecond)
	reused := byTransaction(seen)
	reused.BackendStart = reused.BackendStart.Add(time.Microsecond)
	for name, tc := range map[string]struct {
		verb session.Verb
		f    session.Fence
		want session.Verdict
	}{
		"another transaction":                    {session.Terminate, other, session.VerdictMoved},
		"another session":                        {session.Terminate, reused, session.VerdictGone},
		"the statement before may be a backup's": {session.Terminate, byTransaction(seen), session.VerdictUnjudged},
		// A cancel would do nothing here.
		"no statement to cancel": {session.Cancel, byTransaction(find(t, s, harmless)), session.VerdictUnjudged},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.Signal(proctest.Deadline(t), tc.verb, tc.f)
			if err != nil || got.Verdict != tc.want {
				t.Errorf("verdict %q, %v; want %q", got.Verdict, err, tc.want)
			}
		})
	}
	if !idle.Exists(t) || !harmless.Exists(t) {
		t.Error("a session was signalled")
	}
}

// A fastpath call shows the text of an older statement, which does not matter.
func TestAFastpathCallIsNotSearchedForWords(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	c := srv.IdleInTransaction(t, "app", "select 'vacuum'")
	frontend := c.Conn().PgConn().Frontend()
	frontend.Send(&pgproto3.FunctionCall{
		Function:       pgtest.Value[uint32](t, srv, "select 'pg_sleep'::regproc::oid"),
		ArgFormatCodes: []uint16{0}, Arguments: [][]byte{[]byte("60")},
	})
	if err := frontend.Flush(); err != nil {
		t.Fatal(err)
	}
	c.Await(t, "state = 'fastpath function call'")
	seen := find(t, s, c)
	if seen.Query != "" {
		t.Errorf("found %q", seen.Query)
	}
	got, err := s.Signal(proctest.Deadline(t), session.Cancel, byTransaction(seen))
	if err != nil || got.Verdict != session.VerdictSignalled {
		t.Errorf("%+v, %v", got, err)
	}
}

// inDatabase is an option of pgtest: to connect to that database, and to send bytes
// unconverted.
func inDatabase(name string) func(*pgx.ConnConfig) {
	return func(c *pgx.ConnConfig) {
		c.Database = name
		c.RuntimeParams["client_encoding"] = "SQL_ASCII"
	}
}

// createDatabases creates one of each encoding, named like it in lower case.
func createDatabases(t *testing.T, srv *pgtest.Server, encodings ...string) {
	t.Helper()
	for _, encoding := range encodings {
		srv.Exec(t, "create database "+strings.ToLower(encoding)+
			" template template0 encoding '"+encoding+"' lc_collate 'C' lc_ctype 'C'")
	}
}

// A signal for a transaction, whatever it does now, must not hit maintenance or a
// backup that the policy has not judged. The signalling statement cannot read a
// text as the policy does, so it searches for the words that the policy knows.
func TestEveryProtectedWordIsUnjudged(t *testing.T) {
	srv := pgtest.Start(t)
	s := start(t, srv, "monsig")
	c := srv.IdleInTransaction(t, "app", "select 1")
	began := session.Fence{XactStart: find(t, s, c).XactStart}
	for _, word := range []string{
		"vacuum", "reindex", "cluster", "repack", "concurrently",
		"pg_backup_start", "pg_start_backup", "pg_backup_stop", "pg_stop_backup",
	} {
		c.Exec(t, "select '"+word+"(x)'")
		seen := find(t, s, c)
		began.PID, began.BackendStart = seen.PID, seen.BackendStart
		got, err := s.Signal(proctest.Deadline(t), session.Terminate, began)
		if err != nil || got.Verdict == session.VerdictSignalled {
			t.Fatalf("%s: %+v, %v", word, got, err)
		}
	}
	if !c.Alive(t) {
		t.Error("the session is gone")
	}
}
