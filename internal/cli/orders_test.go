package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/policy"
)

// An order names exactly what was printed: the session, and the one thing that it
// does in its state.
func TestFence(t *testing.T) {
	t.Parallel()
	const (
		session   = `/api/v1/actions {"server":"orders","pid":4711,"backend_start":"2026-11-22T11:05:54.871475Z",`
		query     = `"query_start":"2026-11-22T11:06:00.000001Z",`
		xact      = `"xact_start":"2026-11-22T11:05:59.000002Z",`
		idle      = `"state_change":"2026-11-22T11:06:00.000003Z",`
		terminate = `"action":"terminate"}`
	)
	for state, want := range map[string]string{
		"active": query, "idle": idle, "idle in transaction": idle, "idle in transaction (aborted)": idle,
		"fastpath function call": xact, "disabled": xact, "": xact,
	} {
		f := newFake(t, map[string]reply{
			getSessions: sessionsReply([]string{aSession(fmt.Sprintf("state=%q", state))}),
			postActions: {http.StatusOK, strings.Replace(cancelled, "cancelled", "terminated", 1)},
		})
		f.ask("terminate", "4711", "--yes").expect(t, 0, "terminated the session of pid 4711 on orders (by ann, id d1)\n", "ann@shop")
		if got := f.orders(); !slices.Equal(got, []string{session + want + terminate}) {
			t.Errorf("in the state %q the order is %s", state, got)
		}
	}
}

func TestOrderHasCommentAndLifts(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]reply{getSessions: sessionsReply([]string{aSession()}), postActions: {http.StatusOK, cancelled}})
	f.ask("cancel", "4711", "-y", "--server=orders", "--comment=it \"blocks\" us", "--lift=rule", "--lift=protected_user").
		expect(t, 0, "cancelled the statement of pid 4711 on orders (by ann, id d1)\n", "pid 4711 on orders")
	want := `"action":"cancel","comment":"it \"blocks\" us","lift":["rule","protected_user"]}`
	if got := f.orders(); len(got) != 1 || !strings.HasSuffix(got[0], want) {
		t.Errorf("the order is %s", got)
	}
	if f.asked[0] != "GET /api/v1/sessions?pid=4711&server=orders" {
		t.Errorf("the session was looked up with %s", f.asked[0])
	}
}

// What a person confirms is on the screen before the question.
func TestDescription(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]reply{getSessions: sessionsReply([]string{aSession(`wait_event_type="Lock"`, `wait_event="relation"`)})})
	no := "n\n"
	got := runWith(&no, 0, "cancel", "4711", "--url="+f.URL)
	got.expect(t, 1, "", `pid 4711 on orders
  who             ann@shop
  application     report
  client          10.0.0.5
  state           active Lock:relation, for 2h11m
  transaction     2h11m
  blocks          3 sessions wait behind it
  waits for       pid 12, 13
  statement       select 1, 2
Cancel this statement? [y/N] pgbailiff: nothing was done
`)
	f = newFake(t, map[string]reply{getSessions: sessionsReply([]string{
		aSession(`state="idle in transaction"`, "query_duration_seconds=0", "idle_in_transaction_duration_seconds=61", "blocked=0", "blocked_by=[]"),
	})})
	got = runWith(&no, 0, "terminate", "4711", "--url="+f.URL)
	got.expect(t, 1, "", "  state           idle in transaction, for 1m1s\n  transaction     2h11m\n  last statement  select 1, 2\nTerminate this session? [y/N] ")
	f = newFake(t, map[string]reply{getSessions: sessionsReply([]string{
		aSession(`state="idle"`, "query_duration_seconds=0", "transaction_duration_seconds=0", "idle_duration_seconds=90", "blocked=1", "blocked_by=[]"),
	})})
	got = runWith(&no, 0, "terminate", "4711", "--url="+f.URL)
	got.expect(t, 1, "", "  state           idle, for 1m30s\n  blocks          1 session waits behind it\n  last statement  select 1, 2\nTerminate this session? [y/N] ")
}

func TestConfirmation(t *testing.T) {
	t.Parallel()
	for answer, ordered := range map[string]bool{
		"y\n": true, "Y\n": true, "yes\n": true, " YES \r\n": true,
		"n\n": false, "\n": false, "": false, "y": false, "yep\n": false, "no\ny\n": false,
	} {
		f := newFake(t, map[string]reply{getSessions: sessionsReply([]string{aSession()}), postActions: {http.StatusOK, cancelled}})
		got := runWith(&answer, 0, "cancel", "4711", "--url="+f.URL)
		if ordered != (got.status == 0) || ordered != (len(f.orders()) == 1) {
			t.Errorf("the answer %q: %d orders, %s", answer, len(f.orders()), got)
		}
	}
	f := newFake(t, map[string]reply{getSessions: sessionsReply([]string{aSession()}), postActions: {http.StatusOK, cancelled}})
	f.ask("cancel", "4711").expect(t, 1, "", "standard input is no terminal; to do it without a question pass --yes\n")
	if len(f.orders()) > 0 {
		t.Error("there was an order although nobody could be asked")
	}
}

func TestLookUp(t *testing.T) {
	t.Parallel()
	users := aSession(`server="users"`)
	for name, c := range map[string]struct {
		reply  reply
		args   string
		status int
		err    string
	}{
		"none":             {sessionsReply(nil), "", 1, "pgbailiff: no session has pid 4711\n"},
		"none there":       {sessionsReply(nil), "--server=users", 1, "no session on users has pid 4711\n"},
		"none, one unread": {sessionsReply(nil, "users"), "", 1, "not every server could be read: users: it could not be read\n"},
		"several":          {sessionsReply([]string{aSession(), users}), "", 2, "pid 4711 is on 2 servers (orders, users): say which one with --server\n"},
		"one, another unread": {
			sessionsReply([]string{aSession()}, "users"), "", 1,
			"users may have a pid 4711 too, but could not be read; to act on orders say --server=orders\n",
		},
		"another pid":    {sessionsReply([]string{aSession("pid=4712")}), "", 1, "no session has pid 4711\n"},
		"another server": {sessionsReply([]string{users}), "--server=orders", 1, "no session on orders has pid 4711\n"},
		"unknown server": {reply{http.StatusNotFound, `{"error":"no such server"}`}, "--server=nope", 1, "pgbailiff: no such server\n"},
	} {
		f := newFake(t, map[string]reply{getSessions: c.reply, postActions: {http.StatusOK, cancelled}})
		args := append([]string{"cancel", "4711", "--yes"}, strings.Fields(c.args)...)
		got := f.ask(args...)
		if len(f.orders()) > 0 {
			t.Errorf("%s: ordered: %s", name, got)
		}
		t.Log(name)
		got.expect(t, c.status, "", c.err)
	}

	// The answer of a person says which server is meant; and a server whose lock
	// waits were not read is not another one.
	yes := "y\n"
	f := newFake(t, map[string]reply{getSessions: sessionsReply([]string{aSession()}, "users"), postActions: {http.StatusOK, cancelled}})
	runWith(&yes, 0, "cancel", "4711", "--url="+f.URL).expect(t, 0, "cancelled", "pid 4711 on orders")
	f = newFake(t, map[string]reply{getSessions: sessionsReply([]string{aSession()}, "orders"), postActions: {http.StatusOK, cancelled}})
	f.ask("cancel", "4711", "--yes").expect(t, 0, "cancelled", "pid 4711 on orders")
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status                        int
		outcome, reason, rule, detail string
		want                          string
	}{
		"gone":       {404, "gone", "manual", "", "", "pid 4711 on orders: nothing was done: it has ended already\n"},
		"dry run":    {200, "dry_run", "rule", "", "", "pid 4711 on orders: not done: dry run, rule\n"},
		"ignored":    {502, "ignored", "manual", "", "still there after 5s", "not done: the signal was sent, but it is still there: still there after 5s\n"},
		"superseded": {502, "superseded", "manual", "", "", "which may have met the session's next statement\n"},
		"failed":     {502, "failed", "manual", "", "the connection broke", "not done: it failed: the connection broke\n"},
		"retry":      {503, "failed", "manual", "", "the server could not be reached", "the server could not be reached; try again\n"},
		"protected": {
			409, "refused", "protected_user", "", "a superuser's session",
			"pid 4711 on orders: refused, protected_user: a superuser's session; --lift=protected_user would do it in spite of this\n",
		},
		"rule": {
			409, "refused", "rule", "nightly", "the rule says none",
			"refused, rule (rule \"nightly\"): the rule says none; --lift=rule would do it in spite of this\n",
		},
		"never lifted":  {409, "refused", "sync_rep", "", "its commit waits", "refused, sync_rep: its commit waits\n"},
		"cannot cancel": {409, "refused", "cannot_cancel", "", "it is idle", "refused, cannot_cancel: it is idle; pgbailiff terminate 4711 would end the session\n"},
		"unknown":       {502, "novel", "manual", "", "", "not done: novel\n"},
	} {
		body, err := json.Marshal(map[string]any{
			"server": "orders", "pid": 4711, "action": "cancel", "outcome": c.outcome, "reason": c.reason, "rule": c.rule,
			"by": "ann", "detail": c.detail, "id": "d1", "fingerprint": "",
		})
		if err != nil {
			t.Fatal(err)
		}
		f := newFake(t, map[string]reply{getSessions: sessionsReply([]string{aSession()}), postActions: {c.status, string(body)}})
		t.Log(name)
		f.ask("cancel", "4711", "--yes").expect(t, 1, "", c.want)

		// With JSON the object is all there is on standard output, and the status is the same.
		got := f.ask("cancel", "4711", "--yes", "-o", "json")
		got.expect(t, 1, string(body)+"\n", "pid 4711 on orders")
		if strings.Contains(got.err, "pgbailiff:") {
			t.Errorf("%s: with JSON there is a sentence too: %s", name, got)
		}
	}
}

// The help and the checks of --lift follow the policy.
func TestLiftableIsThePolicys(t *testing.T) {
	t.Parallel()
	var theirs []string
	for _, reason := range policy.Liftable() {
		theirs = append(theirs, string(reason))
	}
	slices.Sort(theirs)
	if ours := slices.Sorted(slices.Values(liftable)); !slices.Equal(ours, theirs) {
		t.Errorf("liftable is %s, policy.Liftable is %s", ours, theirs)
	}
}
