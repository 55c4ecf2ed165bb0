package cli

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

func TestSessionsTable(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]reply{getSessions: sessionsReply([]string{
		aSession(),
		aSession("pid=12", `state="idle in transaction"`, "query_duration_seconds=0", "idle_in_transaction_duration_seconds=90061",
			"transaction_duration_seconds=90061", "blocked=0", `query=""`, `wait_event_type="Client"`, `wait_event="ClientRead"`),
		aSession("pid=13", `wait_event_type="Lock"`, `wait_event="relation"`, "blocked=0", "query_duration_seconds=59.9", "transaction_duration_seconds=60"),
	})})
	got := f.ask("sessions", "--server=orders", "--min-duration=1m30s")
	want := `SERVER   PID  USER@DB   APP     STATE                   FOR   XACT  BLOCKS  STATEMENT
orders  4711  ann@shop  report  active                2h11m  2h11m       3  select 1, 2
orders    12  ann@shop  report  idle in transaction    1d1h   1d1h
orders    13  ann@shop  report  active Lock:relation    59s     1m          select 1, 2
`
	if got.status != 0 || got.err != "" {
		t.Error(got)
	}
	if diff := cmp.Diff(want, got.out); diff != "" {
		t.Errorf("the table (-want +got):\n%s", diff)
	}
	if want := "GET /api/v1/sessions?min_duration=1m30s&server=orders"; f.asked[0] != want {
		t.Errorf("asked %s, want %s", f.asked[0], want)
	}
}

// Columns without any value take no place.
func TestTableLeavesOutEmptyColumns(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]reply{getSessions: sessionsReply([]string{aSession("blocked=0", `query=""`, `application_name=""`)})})
	f.ask("sessions").expect(t, 0, "SERVER   PID  USER@DB   STATE     FOR   XACT\norders  4711  ann@shop  active  2h11m  2h11m\n", "")
}

func TestNoSessions(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]reply{getSessions: sessionsReply(nil)})
	f.ask("sessions").expect(t, 0, "", "no sessions\n")
}

// What could be read is shown, and the status says that it is not everything.
func TestServersThatCouldNotBeRead(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]reply{getSessions: sessionsReply([]string{aSession()}, "users", "carts")})
	f.ask("sessions").expect(t, 1, "4711", "pgbailiff: users: it could not be read\npgbailiff: carts: it could not be read\n")
	got := f.ask("sessions", "--output=json")
	got.expect(t, 1, `"errors":[{"server":"users",`, "pgbailiff: users: it could not be read\n")
}

func TestJSONIsTheAnswer(t *testing.T) {
	t.Parallel()
	body := `{"sessions":[` + aSession(`novel={"x":1.50}`, `query="\u001b[2J<\u009b"`) + `],"errors":[]}`
	f := newFake(t, map[string]reply{getSessions: {http.StatusOK, body}})
	f.ask("sessions", "-o", "json").expect(t, 0, strings.ReplaceAll(body, "[12, 13]", "[12,13]")+"\n", "")
}

// In a terminal the table fits its width, whatever the names.
func TestTableFits(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long-name ", 20)
	sessions := []string{
		aSession(), aSession("pid=4194304", fmt.Sprintf("server=%q", long), fmt.Sprintf("usename=%q", long),
			fmt.Sprintf("application_name=%q", strings.Repeat("数据库", 30)), `wait_event_type="Lock"`, `wait_event="transactionid"`,
			fmt.Sprintf("query=%q", long), "blocked=99999", "query_duration_seconds=8640000", "transaction_duration_seconds=8640000"),
	}
	f := newFake(t, map[string]reply{getSessions: sessionsReply(sessions)})
	for _, width := range []int{80, 81, 120, 200} {
		got := runWith(nil, width, "sessions", "--url="+f.URL)
		lines := strings.Split(strings.TrimSuffix(got.out, "\n"), "\n")
		for _, line := range lines {
			if n := cells(line); n > width {
				t.Errorf("%d columns in a terminal of %d: %q", n, width, line)
			}
		}
		if len(lines) != 3 || !strings.Contains(got.out, "…") || !strings.Contains(got.out, "4194304") || !strings.Contains(got.out, "100d") {
			t.Errorf("in a terminal of %d:\n%s", width, got)
		}
	}
	// Numbers are never cut: in a narrower terminal the lines are wrapped.
	if got := runWith(nil, 30, "sessions", "--url="+f.URL); !strings.Contains(got.out, "4194304") || !strings.Contains(got.out, "99999") {
		t.Errorf("in a narrow terminal:\n%s", got)
	}
	if got := f.ask("sessions"); !strings.Contains(got.out, strings.TrimSpace(long)) {
		t.Errorf("where there is no terminal the table is cut:\n%s", got)
	}
}

// hostile clears the screen, sets the title, writes a line of its own, turns the
// direction of writing around, and uses the one-byte forms of the same.
const hostile = `\u001b[2J\u001b]0;x\u0007\r\npgbailiff: \u202e\u009b2J\u007f\u2028\ue000\ud83d\ude00`

// Nothing that anybody can choose reaches the terminal raw.
func TestNothingHostileReachesTheTerminal(t *testing.T) {
	t.Parallel()
	quoted := `"` + hostile + `"`
	var keys []string
	for _, key := range []string{"server", "datname", "usename", "application_name", "client_addr", "state", "wait_event_type", "wait_event", "query"} {
		keys = append(keys, key+"="+quoted)
	}
	raw := strings.NewReplacer(`\u202e`, "\u202e", `\u009b`, "\u009b", `\u007f`, "\u007f", `\u2028`, "\u2028").Replace // as JSON may have them
	evil := aSession(keys...)
	approvals := reply{http.StatusOK, fmt.Sprintf(`{"approvals":[{"id":"a1","server":%[1]s,"pid":1,"backend_start":%[1]s,"action":%[1]s,"rule":%[1]s,`+
		`"alertname":%[1]s,"severity":%[1]s,"asked_at":%[1]s,"until":%[1]s,"datname":%[1]s,"usename":%[1]s,"application_name":%[1]s,"state":%[1]s}]}`, quoted)}
	refused := reply{http.StatusConflict, fmt.Sprintf(`{"server":%[1]s,"pid":4711,"outcome":%[1]s,"reason":%[1]s,"rule":%[1]s,"by":%[1]s,"detail":%[1]s,"id":%[1]s}`, quoted)}
	done := reply{http.StatusOK, fmt.Sprintf(`{"server":%[1]s,"pid":4711,"outcome":"cancelled","by":%[1]s,"id":%[1]s}`, quoted)}
	failing := reply{http.StatusForbidden, fmt.Sprintf(`{"error":%s}`, quoted)}
	unread := reply{http.StatusOK, fmt.Sprintf(`{"sessions":[],"errors":[{"server":%[1]s,"error":%[1]s}]}`, quoted)}
	list := reply{http.StatusOK, `{"sessions":[` + evil + `],"errors":[]}`}
	for name, c := range map[string]struct {
		replies map[string]reply
		args    string
		lines   int // of output, at most
	}{
		"table":             {map[string]reply{getSessions: list}, "sessions", 2},
		"json":              {map[string]reply{getSessions: list}, "sessions -o json", 1},
		"errors":            {map[string]reply{getSessions: unread}, "sessions", 1},
		"error":             {map[string]reply{getSessions: failing}, "sessions", 1},
		"refused":           {map[string]reply{getSessions: list, postActions: refused}, "cancel 4711 --yes", 11},
		"done":              {map[string]reply{getSessions: list, postActions: done}, "cancel 4711 --yes", 11},
		"done, json":        {map[string]reply{getSessions: list, postActions: done}, "cancel 4711 --yes -o json", 11},
		"approvals":         {map[string]reply{getApprovals: approvals}, "approvals", 2},
		"approvals, json":   {map[string]reply{getApprovals: approvals}, "approvals -o json", 1},
		"approvals, refuse": {map[string]reply{getApprovals: approvals, postApprovals: refused}, "approvals approve a1 -y", 11},
		"several":           {map[string]reply{getSessions: {http.StatusOK, `{"sessions":[` + evil + "," + evil + `],"errors":[]}`}}, "cancel 4711", 1},
	} {
		for _, as := range []func(string) string{strings.Clone, raw} {
			replies := map[string]reply{}
			for path, r := range c.replies {
				replies[path] = reply{r.status, as(r.body)}
			}
			f := newFake(t, replies)
			got := f.ask(strings.Fields(c.args)...)
			both := got.out + got.err
			for _, r := range both {
				if r != '\n' && !unicode.IsPrint(r) {
					t.Errorf("%s: %q reaches the terminal: %q", name, r, both)
					break
				}
			}
			if n := strings.Count(both, "\n"); n == 0 || n > c.lines {
				t.Errorf("%s: %d lines:\n%s", name, n, both)
			}
		}
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":                  "plain",
		"a\x1b[31m\tb\n":         `a\x1b[31m\tb\n`,
		"\xff":                   "\ufffd",
		`back\slash "quote"`:     `back\slash "quote"`,
		"\u202e\u009b\U000e0001": `\u202e\u009b\U000e0001`,
	} {
		if got := plain(in); got != want {
			t.Errorf("plain(%q) is %q, want %q", in, got, want)
		}
	}
	if got := plainJSON([]byte("\"\U000e0001\u009bä\"")); got != `"\udb40\udc01\u009bä"` {
		t.Errorf("plainJSON: %s", got)
	}
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 999 * time.Millisecond: "0s", 59 * time.Second: "59s", 60 * time.Second: "1m",
		61 * time.Second: "1m1s", 2*time.Hour + 11*time.Minute + 59*time.Second: "2h11m", 3*time.Hour + time.Second: "3h",
		49 * time.Hour: "2d1h", 1000 * 24 * time.Hour: "1000d",
	} {
		if got := age(d); got != want {
			t.Errorf("age(%s) is %q, want %q", d, got, want)
		}
	}
	for _, c := range []struct {
		text string
		most int
		want string
	}{{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"数据库", 5, "数据…"}, {"数据库", 4, "数…"}, {"e\u0301e\u0301", 2, "e\u0301e\u0301"}, {"abcd", 0, "abcd"}} {
		if got := cut(c.text, c.most); got != c.want {
			t.Errorf("cut(%q, %d) is %q, want %q", c.text, c.most, got, c.want)
		}
	}
}
