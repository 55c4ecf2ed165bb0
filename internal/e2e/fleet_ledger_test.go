package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// sharedIntent is an intent in the shared ledger and what became of it.
type sharedIntent struct {
	ID      string
	At      time.Time // by the ledger's clock
	Server  string
	PID     int
	Step    string
	Action  string
	Replica string
	// Outcomes are its outcome lines, of which there must be one.
	Outcomes  []string
	Signalled bool // the signal was sent, or may have been
	Details   []string
}

// intents reads the lines of the ledger, in the order of their time.
func (f *fleet) intents(t testing.TB) []sharedIntent {
	t.Helper()
	return f.read(t, `
		select i.id, i.time as at, i.server, (i.entry->>'pid')::int as pid,
			concat_ws(' ', coalesce(i.entry->>'system_identifier', i.server), i.entry->>'pid', i.entry->>'backend_start',
				i.entry->>(case i.entry->>'state' when 'active' then 'query_start' else 'state_change' end), i.entry->>'action') as step,
			i.entry->>'action' as action, coalesce(i.replica, '') as replica,
			array(select o.entry->>'outcome' from pgbailiff.entries o where o.event = 'outcome' and o.id = i.id order by o.seq) as outcomes,
			exists (select from pgbailiff.entries o where o.event = 'outcome' and o.id = i.id and (o.entry->>'signalled')::boolean) as signalled,
			array(select coalesce(o.entry->>'detail', '') from pgbailiff.entries o where o.event = 'outcome' and o.id = i.id order by o.seq) as details
		from pgbailiff.entries i where i.event = 'intent' order by i.time, i.seq`)
}

// record is all that the ledger says of a session, for a failure's message.
func (f *fleet) record(t testing.TB, pid int) string {
	t.Helper()
	return pgtest.Value[string](t, f.ledger, `
		select coalesce(string_agg(concat_ws(' ', time, event, id, entry->>'action', entry->>'outcome', entry->>'reason', entry->>'detail'), E'\n' order by seq), '')
		from pgbailiff.entries where (entry->>'pid')::int = $1`, pid)
}

// failed reports whether nobody knows what became of a signal, or there was none.
func (i sharedIntent) failed() bool { return len(i.Outcomes) == 1 && i.Outcomes[0] == "failed" }

// takeovers are the intents of killed replicas that another one has taken over,
// once for each time.
func (f *fleet) takeovers(t testing.TB) []sharedIntent {
	t.Helper()
	return f.read(t, "select id, server, pid, verb as action from pgbailiff.signals where id like '%/%'")
}

// account reads what counts against the limits: when, and on which server.
func (f *fleet) account(t testing.TB) []sharedIntent {
	t.Helper()
	return f.read(t, "select begun_at as at, server, spent as signalled from pgbailiff.signals order by begun_at")
}

// read reads some columns of intents.
func (f *fleet) read(t testing.TB, sql string) []sharedIntent {
	t.Helper()
	rows, err := f.ledger.Connect(t, "postgres").Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByNameLax[sharedIntent])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// expectWithin looks for a window, however it lies, with more signals of one
// server than the limits allow.
func expectWithin(t testing.TB, name string, intents []sharedIntent, actions int, window time.Duration) {
	t.Helper()
	sent := map[string][]time.Time{}
	for _, i := range intents {
		if i.Signalled {
			sent[i.Server] = append(sent[i.Server], i.At)
		}
	}
	for server, at := range sent {
		for i := actions; i < len(at); i++ {
			if took := at[i].Sub(at[i-actions]); took < window {
				t.Errorf("by the ledger's %s %s got %d signals in %s: the budget is %d in %s", name, server, actions+1, took, actions, window)
			}
		}
	}
}

func (i sharedIntent) String() string {
	return fmt.Sprintf("%s: %s of pid %d on %s by %s: %q %q", i.ID, i.Action, i.PID, i.Server, i.Replica, i.Outcomes, i.Details)
}
