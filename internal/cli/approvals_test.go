package cli

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// waiting is the answer about one order that was asked three minutes ago.
func waiting() reply {
	now := time.Now().UTC()
	return reply{http.StatusOK, fmt.Sprintf(`{"approvals":[{"id":"a1","server":"orders","pid":4711,"backend_start":"2026-11-22T11:05:54.871475Z",`+
		`"query_start":"2026-11-22T11:06:00.000001Z","xact_start":"","state_change":"","action":"cancel-then-terminate","rule":"etl","alertname":"LongQuery",`+
		`"severity":"critical","fingerprint":"f","asked_at":%q,"until":%q,"datname":"shop","usename":"ann","application_name":"report",`+
		`"client_addr":"","state":"active","wait_event_type":"","wait_event":"","session_id":"1.2"}]}`,
		now.Add(-3*time.Minute).Format(time.RFC3339Nano), now.Add(27*time.Minute+30*time.Second).Format(time.RFC3339Nano))}
}

func TestApprovalsTable(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]reply{getApprovals: waiting()})
	for _, args := range [][]string{{"approvals"}, {"approvals", "list"}} {
		got := f.ask(args...)
		got.expect(t, 0, "ID  SERVER   PID  ACTION                 USER@DB   ALERT      ASKED    LEFT\n"+
			"a1  orders  4711  cancel-then-terminate  ann@shop  LongQuery     3m", "")
		got.expect(t, 0, "  27m2", "")
	}
	got := runWith(nil, 60, "approvals", "--url="+f.URL)
	for line := range strings.Lines(got.out) {
		if cells(strings.TrimSpace(line)) > 60 {
			t.Errorf("wider than the terminal:\n%s", got)
		}
	}
	f = newFake(t, map[string]reply{getApprovals: {http.StatusOK, `{"approvals":[]}`}})
	f.ask("approvals").expect(t, 0, "", "nothing waits for a person\n")
	f.ask("approvals", "--output=json").expect(t, 0, `{"approvals":[]}`+"\n", "")
}

func TestTimesThatAreNone(t *testing.T) {
	t.Parallel()
	if got := between("some\tday", time.Now()); got != `some\tday` {
		t.Errorf("asked %s", got)
	}
	if got := until(time.Now(), ""); got != "" {
		t.Errorf("left %s", got)
	}
}

func TestApproveAndDeny(t *testing.T) {
	t.Parallel()
	terminated := strings.Replace(cancelled, "cancelled", "terminated", 1)
	denied := strings.NewReplacer("cancelled", "refused", "manual", "denied").Replace(cancelled)
	yes, no := "y\n", "n\n"
	for name, c := range map[string]struct {
		answer   *string
		args     string
		reply    reply
		status   int
		out, err string
		order    string
	}{
		"approve": {
			&yes, "approve a1 --comment=fine",
			reply{http.StatusOK, terminated},
			0,
			"terminated the session of pid 4711 on orders (by ann, id d1)\n", "Approve this order? [y/N] ", `{"decision":"approve","comment":"fine"}`,
		},
		"approve, no":          {&no, "approve a1", reply{http.StatusOK, terminated}, 1, "", "nothing was done\n", ""},
		"approve, no terminal": {nil, "approve a1", reply{http.StatusOK, terminated}, 1, "", "pass --yes\n", ""},
		"approve, gone": {
			nil, "approve a1 --yes",
			reply{http.StatusNotFound, strings.Replace(cancelled, "cancelled", "gone", 1)},
			1,
			"", "pgbailiff: pid 4711 on orders: nothing was done: it has ended already\n", `{"decision":"approve"}`,
		},
		"approve, answered meanwhile": {
			nil, "approve a1 --yes",
			reply{http.StatusConflict, `{"error":"it was answered already"}`},
			1,
			"", "pgbailiff: it was answered already\n", `{"decision":"approve"}`,
		},
		"approve, refused": {
			nil, "approve a1 --yes",
			reply{http.StatusConflict, denied},
			1,
			"", "pgbailiff: pid 4711 on orders: refused, denied\n", `{"decision":"approve"}`,
		},
		"approve, json": {nil, "approve a1 --yes --output=json", reply{http.StatusOK, terminated}, 0, terminated + "\n", "cancel-then-terminate", `{"decision":"approve"}`},
		"deny": {
			&yes, "deny a1",
			reply{http.StatusOK, denied},
			0,
			"denied: pid 4711 on orders is left alone (by ann, id d1)\n", "Deny this order? [y/N] ", `{"decision":"deny"}`,
		},
		"another": {nil, "approve a2 --yes", reply{}, 1, "", "pgbailiff: nothing waits under the id a2: it was answered already, has expired or never was\n", ""},
	} {
		f := newFake(t, map[string]reply{getApprovals: waiting(), postApprovals: c.reply})
		t.Log(name)
		args := append([]string{"approvals"}, strings.Fields(c.args)...)
		runWith(c.answer, 0, append(args, "--url="+f.URL)...).expect(t, c.status, c.out, c.err)
		var want []string
		if c.order != "" {
			want = []string{"/api/v1/approvals/a1 " + c.order}
		}
		if got := f.orders(); !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
	}

	f := newFake(t, map[string]reply{getApprovals: waiting()})
	f.ask("approvals", "approve", "a1").expect(t, 1, "", `cancel-then-terminate pid 4711 on orders
  who             ann@shop
  application     report
  state           active
  alert           LongQuery
  severity        critical
  rule            etl
  asked           3m`)
}
