package page_test

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/page"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// words are what a person reads on a page, on one line.
func words(page string) string {
	_, page, _ = strings.Cut(page, "</style>")
	page = html.UnescapeString(tags.ReplaceAllString(page, " "))
	return strings.Join(strings.Fields(page), " ")
}

// TestSessionSays: what the page of a session says, in the words of a person.
func TestSessionSays(t *testing.T) {
	for name, tc := range map[string]struct {
		page   string
		change func(*world)
		want   []string
		not    []string
	}{
		"a statement": {
			page: "running",
			want: []string{
				"metabase has been running a statement on orders for 1 h 10 min .", "SELECT c.country", "Waits for IO: DataFileRead",
				"Connected 3 h 00 min 2026-11-22T08:05:54.000000Z", "In the server's log 6b02a262.4bb1",
				"warning: cancel severity critical: cancel, then terminate rule dashboards may be dropped",
				"Cancel this statement Terminate this session Leave it alone",
				"pgbailiff cancel 19377 --server=orders --url=https://pgbailiff.example/pg",
				"It waits for no lock, and nobody waits for one of its locks.",
			},
		},
		"an idle transaction": {
			page: "holder",
			want: []string{
				"shop has been idle in a transaction on orders for 24 min 58 s . 3 backends wait behind it.",
				"Cancel this statement cannot work: cannot_cancel the session is idle in transaction: there is no statement to cancel",
				"Behind it pid 22011 shop · shop · checkout-api 4.12 , waits 5 min 12 s for transactionid",
				"pid 22040 , waits 3 s", "last: UPDATE stock",
			},
		},
		"one that waits": {
			page: "waiting",
			want: []string{"It waits for pid 22011 shop", "pid 21804 shop · shop · checkout-api 4.12 , idle in transaction"},
			not:  []string{"Behind it"},
		},
		"a leaked connection": {
			page: "leaked",
			want: []string{
				"shop has been idle outside a transaction on orders for 26 h 03 min .", "Terminate this session Leave it alone",
				"What an alert would do Nothing: no alert acts on a session that is idle outside a transaction.",
			},
		},
		"a protected one": {
			page: "load", change: func(w *world) { w.Servers[0].Snapshot.Sessions[4].Query = "VACUUM stock" },
			want: []string{"Cancel this statement refused, unless you set it aside: protected_maintenance VACUUM"},
		},
		"nobody looks": {
			page: "running", change: func(w *world) { w.Person = page.Person{} },
			want: []string{"Nobody is signed in. You may look, and not act.", "metabase has been running"},
			not:  []string{"Terminate this session", "pgbailiff cancel"},
		},
		"no operator looks": {
			page: "running", change: func(w *world) { w.Person.Operator = false },
			want: []string{"You are ann . You may look, and not act."},
			not:  []string{"Terminate this session", "pgbailiff cancel"},
		},
		"nowhere to silence": {
			page: "running", change: func(w *world) { w.AlertmanagerURL = "" },
			want: []string{"Leave it alone needs people.alertmanager_url"},
		},
		"our role may not signal": {
			page: "running", change: func(w *world) { w.Servers[0].Snapshot.Facts.CanSignal = false },
			want: []string{"PostgreSQL will refuse to signal", "but refused by PostgreSQL: our role may not signal"},
		},
		"a suspended server": {
			page: "running", change: func(w *world) { w.Servers[0].Suspended = true },
			want: []string{"but refused until somebody resumes: the server is suspended"},
		},
		"no time for the locks": {
			page: "running", change: func(w *world) { w.Servers[0].Snapshot.LocksKnown = false },
			want: []string{"There was no time to find out who waits for whom."},
		},
		"the others could not be read": {
			page: "running", change: func(w *world) { w.Servers[0].Err = errors.New("hunter2") },
			want: []string{"Who waits for whom is not known", "metabase has been running a statement"},
			not:  []string{"our role has no", "hunter2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := fullPage(t)
			if tc.change != nil {
				tc.change(&w)
			}
			all := paths(w)
			all["load"] = strings.Replace(all["running"], "19377", "18200", 1)
			w.Servers[0].Snapshot.Sessions[4].Usename = "loader"
			got := get(t, handler(w), all[tc.page])
			if got.status != http.StatusOK {
				t.Errorf("status %d", got.status)
			}
			said := words(got.body)
			for _, want := range tc.want {
				if !strings.Contains(said, want) {
					t.Errorf("does not say %q:\n%s", want, said)
				}
			}
			for _, not := range tc.not {
				if strings.Contains(said, not) {
					t.Errorf("says %q", not)
				}
			}
		})
	}
}

// TestNoSession: an address that names no session that is there has a page that
// says so.
func TestNoSession(t *testing.T) {
	const start = "2026-11-22T08:05:54.000000Z"
	for path, tc := range map[string]struct {
		status int
		want   string
		change func(*world)
	}{
		"/sessions/orders/23117/" + start: {status: http.StatusNotFound, want: "pid 23117 on orders , connected at " + start + " : It has ended."},
		"/sessions/orders/19377/2026-11-22T08:05:54.000001Z": {
			status: http.StatusNotFound, want: "It has ended, and its pid belongs to another session now.",
		},
		"/sessions/orders/19377/" + start: {
			status: http.StatusNotFound, want: "our role may not see whose it is",
			change: func(w *world) { w.Servers[0].Snapshot.Sessions[3].BackendType = "" },
		},
		"/sessions/orders/21804/" + start: {
			status: http.StatusServiceUnavailable, want: "It did not answer in time. The log of pgbailiff says more. Whether the session is still there is not known.",
			change: func(w *world) { w.FindErr = fmt.Errorf("hunter2: %w", context.DeadlineExceeded) },
		},
		"/sessions/nowhere/1/" + start:                  {status: http.StatusNotFound, want: "No server of this name is configured."},
		"/sessions/orders/0/" + start:                   {status: http.StatusBadRequest, want: "is not a process id"},
		"/sessions/orders/-1/" + start:                  {status: http.StatusBadRequest, want: "is not a process id"},
		"/sessions/orders/007/" + start:                 {status: http.StatusBadRequest, want: "is not a process id"},
		"/sessions/orders/99999999999/" + start:         {status: http.StatusBadRequest, want: "is not a process id"},
		"/sessions/orders/%3Cb%3E/" + start:             {status: http.StatusBadRequest, want: "is not a process id"},
		"/sessions/orders/1/now":                        {status: http.StatusBadRequest, want: "is not a time of the form"},
		"/sessions/orders/1/2026-11-22T08:05:54Z":       {status: http.StatusBadRequest, want: "is not a time of the form"},
		"/sessions/orders/1/2026-11-22T08:05:54.0%2000": {status: http.StatusBadRequest, want: "is not a time of the form"},
	} {
		w := fullPage(t)
		if tc.change != nil {
			tc.change(&w)
		}
		for _, path := range []string{path, path + "/confirm?action=terminate"} {
			got := get(t, handler(w), path)
			if said := words(got.body); got.status != tc.status || !strings.Contains(said, tc.want) || strings.Contains(said, "hunter2") {
				t.Errorf("%s: %d %s", path, got.status, said)
			}
		}
	}
}

// TestLedgerOfASession: its page has its lines and those of no other session.
func TestLedgerOfASession(t *testing.T) {
	w := fullPage(t)
	mine := byHand(entry(time.Minute, ledger.EventOutcome, ledger.Ignored, "orders", 19377, "cancel", "manual", ""), "ann", "first try")
	other, elsewhere, reused := mine, mine, mine
	other.PID, other.Comment = 22011, "another pid"
	elsewhere.Server, elsewhere.Comment = "billing", "another server"
	reused.BackendStart, reused.Comment = ledger.Time{Time: now}, "another start"
	w.Decisions = []ledger.Entry{mine, other, elsewhere, reused}
	for _, page := range []string{paths(w)["running"], strings.Replace(paths(w)["running"], "19377", "19378", 1)} {
		for i := range w.Decisions {
			if strings.Contains(page, "19378") && w.Decisions[i].PID == 19377 {
				w.Decisions[i].PID = 19378
			}
		}
		said := words(get(t, handler(w), page).body)
		if !strings.Contains(said, "“ first try ”") || strings.Contains(said, "another ") {
			t.Errorf("%s: %s", page, said)
		}
	}
}

var silenceLink = regexp.MustCompile(`href="(https://alertmanager[^"]*)"`)

// TestSilence: the link is Alertmanager's form, with the identity of the session.
func TestSilence(t *testing.T) {
	w := fullPage(t)
	w.Servers[0].Name = `or"d\ers + 1`
	w.Servers[0].Snapshot.Sessions[3].Server = w.Servers[0].Name
	found := silenceLink.FindStringSubmatch(get(t, handler(w), paths(w)["running"]).body)
	const want = "https://alertmanager.example/am/#/silences/new?filter=" +
		"%7Bserver%3D%22or%5C%22d%5C%5Cers%20%2B%201%22%2Cpid%3D%2219377%22%2Cbackend_start%3D%222026-11-22T08%3A05%3A54.000000Z%22%7D" +
		"&comment=Leave%20this%20session%20alone"
	if found == nil || html.UnescapeString(found[1]) != want {
		t.Errorf("%v, want %s", found, want)
	}
}

// TestCommand: the line is fit to be pasted into a shell.
func TestCommand(t *testing.T) {
	for server, want := range map[string]string{
		"orders": "--server=orders --url=", "db1:5432": "--server=db1:5432 --url=", "it's $(id)": `--server='it'\''s $(id)' --url=`,
		"a b": "--server='a b' --url=", "a\nb": "",
	} {
		w := fullPage(t)
		w.Servers[0].Name, w.Servers[0].Snapshot.Sessions[3].Server = server, server
		got := get(t, handler(w), paths(w)["running"])
		if got.status != http.StatusOK {
			t.Errorf("%q: status %d", server, got.status)
		}
		if said := words(got.body); strings.Contains(said, "pgbailiff cancel") != (want != "") || !strings.Contains(said, want) {
			t.Errorf("%q: %s", server, said)
		}
	}
}

// TestTreeOfALongQueue: everybody is there once, up to a bound, and no deeper
// than can be read. A deadlock has an end.
func TestTreeOfALongQueue(t *testing.T) {
	queue := func(n int32, wait func(i int32) []int32) world {
		w := fullPage(t)
		s := &w.Servers[0].Snapshot
		s.Waiters = nil
		for i := range n {
			s.Waiters = append(s.Waiters, session.Waiter{PID: 30000 + i, Age: float64(n - i), Blockers: wait(i)})
		}
		return w
	}
	ahead := func(i int32) []int32 { // everybody ahead, as PostgreSQL tells it
		all := []int32{21804}
		for j := range i {
			all = append(all, 30000+j)
		}
		return all
	}
	body := get(t, handler(queue(5, ahead)), paths(fullPage(t))["holder"]).body
	last := -1
	for i := range 5 {
		label := fmt.Sprintf(">pid %d<", 30000+i)
		if at := strings.Index(body, label); at <= last || strings.Count(body, label) != 1 {
			t.Errorf("%s is at %d, the one before at %d", label, at, last)
		} else {
			last = at
		}
	}
	if got := strings.Count(body, "<ul><li>") + strings.Count(body, "<ul>\n<li>"); got < 4 {
		t.Errorf("a queue of five has %d levels below the first", got)
	}
	body = get(t, handler(queue(300, ahead)), paths(fullPage(t))["holder"]).body
	if said := words(body); !strings.Contains(said, "300 backends wait behind it.") || !strings.Contains(said, "and 250 more") {
		t.Error("a long queue is shown whole, or not counted")
	}
	depth, deepest := 0, 0
	for _, found := range regexp.MustCompile(`</?ul`).FindAllString(body, -1) {
		if depth++; found == "</ul" {
			depth -= 2
		}
		deepest = max(deepest, depth)
	}
	if deepest != 6 {
		t.Errorf("a long queue is %d levels deep", deepest)
	}
	ring := func(i int32) []int32 { return []int32{30000 + (i+1)%3} }
	body = get(t, handler(queue(3, ring)), paths(fullPage(t))["holder"]).body
	if strings.Contains(body, ">pid 30000<") {
		t.Error("a deadlock elsewhere is shown")
	}
	w := queue(3, ring)
	s := w.Servers[0].Snapshot.Sessions[0]
	s.PID, s.State = 30001, session.StateActive
	w.Servers[0].Snapshot.Sessions = append(w.Servers[0].Snapshot.Sessions, s)
	if said := words(get(t, handler(w), strings.Replace(paths(w)["holder"], "21804", "30001", 1)).body); strings.Count(said, "pid 30002 ,") != 2 {
		t.Errorf("a deadlock is not shown from both sides: %s", said)
	}
}
