package page_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/page"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

var input = regexp.MustCompile(`<input type="([a-z]+)" name="([a-z_]+)" value="([^"]*)">`)

// formOf is what a browser would send of the form of a page, with every box
// ticked or with none.
func formOf(page string, ticked bool) url.Values {
	form := url.Values{}
	for _, found := range input.FindAllStringSubmatch(page, -1) {
		if found[1] == "hidden" || ticked {
			form.Add(found[2], found[3])
		}
	}
	return form
}

// TestConfirmAsks: the sentence says whom the order hits, and the form has the
// fence of what was seen.
func TestConfirmAsks(t *testing.T) {
	for name, tc := range map[string]struct {
		page, action string
		change       func(*world)
		want         string
		form         url.Values // with every box ticked
	}{
		"a statement": {
			page: "running", action: "cancel",
			want: "Cancel the statement that metabase has been running on orders for 1 h 10 min ? Its client gets an error, and keeps its connection.",
			form: url.Values{"action": {"cancel"}, "query_start": {"2026-11-22T09:55:43.000000Z"}},
		},
		"a session": {
			page: "running", action: "terminate",
			want: "Terminate the session of metabase on orders , which has been running a statement for 1 h 10 min ? Its client loses its connection.",
			form: url.Values{"action": {"terminate"}, "query_start": {"2026-11-22T09:55:43.000000Z"}},
		},
		"both": {
			page: "running", action: "cancel-then-terminate",
			want: "Cancel the statement that metabase has been running on orders for 1 h 10 min , and terminate the session if it still runs 5 s later?",
			form: url.Values{"action": {"cancel-then-terminate"}, "query_start": {"2026-11-22T09:55:43.000000Z"}},
		},
		"an idle transaction": {
			page: "holder", action: "terminate",
			want: "Terminate the session of shop on orders , which has been idle in a transaction for 24 min 58 s ?",
			form: url.Values{"action": {"terminate"}, "state_change": {"2026-11-22T10:40:55.800000Z"}},
		},
		"those behind it": {
			page: "holder", action: "terminate", want: "3 backends wait behind it.",
			form: url.Values{"action": {"terminate"}, "state_change": {"2026-11-22T10:40:55.800000Z"}},
		},
		"a cancel goes straight to terminate": {
			page: "holder", action: "cancel-then-terminate",
			want: "Terminate the session of shop on orders , which has been idle in a transaction for 24 min 58 s ?",
			form: url.Values{"action": {"cancel-then-terminate"}, "state_change": {"2026-11-22T10:40:55.800000Z"}},
		},
		"a leaked connection": {
			page: "leaked", action: "terminate",
			want: "Terminate the session of shop on orders , which has been idle outside a transaction for 26 h 03 min ?",
			form: url.Values{"action": {"terminate"}, "state_change": {"2026-11-21T09:02:50.000000Z"}},
		},
		"no statement": {
			page: "leaked", action: "cancel", form: url.Values{},
			want: "This cannot be done: cannot_cancel the session is idle: there is no statement to cancel",
		},
		"never lifted": {
			page: "running", action: "cancel", form: url.Values{},
			change: func(w *world) { w.Servers[0].Snapshot.Sessions[3].WaitEvent = "SyncRep" },
			want:   "This cannot be done: sync_rep its commit waits for a synchronous standby",
		},
		"one that a rule protects": {
			page: "load", action: "cancel",
			want: "It is protected. It is refused unless you set this aside: rule nightly load the rule says none",
			form: url.Values{"action": {"cancel"}, "query_start": {"2026-11-22T08:33:54.000000Z"}, "lift": {"rule"}},
		},
		"one that is protected in every way": {
			page: "load", action: "terminate",
			change: func(w *world) {
				s := &w.Servers[0].Snapshot.Sessions[4]
				s.Usename, s.ApplicationName, s.Query = "postgres", "pg_dump", "VACUUM stock"
				w.Policy = policyOf(t, policy.RuleConfig{Name: "postgres", Matchers: []string{`usename="postgres"`}, Action: policy.None})
			},
			want: "protected_user a superuser's session protected_backup a backup, or a session that started one protected_maintenance VACUUM rule postgres",
			form: url.Values{
				"action": {"terminate"}, "query_start": {"2026-11-22T08:33:54.000000Z"},
				"lift": {"protected_user", "protected_backup", "protected_maintenance", "rule"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := fullPage(t)
			if tc.change != nil {
				tc.change(&w)
			}
			all := paths(w)
			all["load"] = strings.Replace(all["running"], "19377", "18200", 1)
			got := get(t, handler(w), all[tc.page]+"/confirm?action="+tc.action)
			if said := words(got.body); got.status != http.StatusOK || !strings.Contains(said, tc.want) {
				t.Errorf("%d, and does not say %q: %s", got.status, tc.want, said)
			}
			if diff := cmp.Diff(tc.form, formOf(got.body, true)); diff != "" {
				t.Errorf("the form (-want +got):\n%s", diff)
			}
			if back := `<a href="/pg` + all[tc.page] + `">`; !strings.Contains(got.body, back) {
				t.Error("there is no way back")
			}
		})
	}
}

// TestActOrders: what is posted becomes an order by hand, with the fence of the
// form, and the answer says what became of it.
func TestActOrders(t *testing.T) {
	w := fullPage(t)
	path := paths(w)["protected"]
	path = path[:strings.Index(path, "?")]
	form := formOf(get(t, handler(w), path+"?action=cancel").body, false)
	form.Set("comment", " one\r\ntwo ")
	start := now.Add(-75e9)
	fence := session.Fence{Server: "billing", PID: 902, BackendStart: now.Add(-3 * 3600e9), QueryStart: start}
	for _, lift := range [][]policy.Reason{nil, {policy.ReasonProtectedUser}} {
		for _, reason := range lift {
			form.Add("lift", string(reason))
		}
		o := &orders{world: w, Result: remediation.Result{Server: "billing", PID: 902, Action: policy.Cancel, Outcome: ledger.Cancelled, Decision: "01J0Q", By: "ann"}}
		got := post(t, o.handler(), path, form)
		want := []remediation.Request{remediation.Manual("ann", "one\ntwo", policy.Order{Action: policy.Cancel, Lift: lift}, fence, nil)}
		if diff := cmp.Diff(want, o.ordered, cmp.AllowUnexported(remediation.Request{})); diff != "" {
			t.Errorf("the order (-want +got):\n%s", diff)
		}
		if said := words(got.body); got.status != http.StatusOK || !strings.Contains(said, "cancelled The statement is not running any more") ||
			!strings.Contains(said, "On record as 01J0Q") || !strings.Contains(said, "By ann") {
			t.Errorf("%d %s", got.status, said)
		}
	}
}

// TestOutcomes: each outcome has its status and its sentence.
func TestOutcomes(t *testing.T) {
	w := fullPage(t)
	for _, tc := range []struct {
		result remediation.Result
		status int
		want   string
	}{
		{remediation.Result{Outcome: ledger.Cancelled}, http.StatusOK, "cancelled The statement is not running any more"},
		{remediation.Result{Outcome: ledger.Terminated}, http.StatusOK, "terminated The session has ended"},
		{remediation.Result{Outcome: ledger.Gone, Detail: "the session is doing something else now"}, http.StatusNotFound, "Nothing that runs now was touched. Session pid 7 on orders Ordered cancel More the session is doing something else now"},
		{remediation.Result{Outcome: ledger.Refused, Reason: policy.ReasonNoIdentity}, http.StatusConflict, "refused Nothing was done to the session."},
		{
			remediation.Result{Outcome: ledger.Refused, Reason: policy.ReasonProtectedUser, Detail: "a superuser's session"},
			http.StatusConflict, "if you go back and set protected_user aside",
		},
		{remediation.Result{Outcome: ledger.Ignored, Signalled: true}, http.StatusBadGateway, "ignored The signal was sent, and what you named is still there."},
		{remediation.Result{Outcome: ledger.Superseded, Signalled: true}, http.StatusBadGateway, "superseded What you named ended by itself"},
		{remediation.Result{Outcome: ledger.Failed, Signalled: true}, http.StatusBadGateway, "Look at the session before you order anything again."},
		{remediation.Result{Outcome: ledger.Failed, Retry: true}, http.StatusServiceUnavailable, "Nobody was signalled."},
		{remediation.Result{Outcome: ledger.Failed, Retry: true}, http.StatusServiceUnavailable, "To try again can help"},
		{remediation.Result{Outcome: ledger.DryRun}, http.StatusOK, "No signal was sent"},
		{remediation.Result{Outcome: "nonsense"}, http.StatusBadGateway, "The outcome is not known."},
	} {
		tc.result.Server, tc.result.PID, tc.result.Action = "orders", 7, policy.Cancel
		o := &orders{world: w, Result: tc.result}
		got := post(t, o.handler(), paths(w)["running"]+"/confirm", url.Values{"action": {"cancel"}, "query_start": {"2026-11-22T09:55:43.000000Z"}})
		if said := words(got.body); got.status != tc.status || !strings.Contains(said, tc.want) {
			t.Errorf("%s: %d, want %d with %q: %s", tc.result.Outcome, got.status, tc.status, tc.want, said)
		}
	}
}

// TestConfirmOfWhatHasJustChanged: nothing is asked about what is not there any
// more, or cannot be read any more.
func TestConfirmOfWhatHasJustChanged(t *testing.T) {
	for outcome, status := range map[ledger.Outcome]int{ledger.Gone: http.StatusNotFound, ledger.Failed: http.StatusServiceUnavailable} {
		w := fullPage(t)
		w.Sudden = remediation.Preview{Outcome: outcome, Detail: "the session is doing something else now"}
		got := get(t, handler(w), paths(w)["cancel"])
		if got.status != status || strings.Contains(got.body, "<button") || !strings.Contains(words(got.body), "This cannot be done: "+string(outcome)) {
			t.Errorf("%s: %d %s", outcome, got.status, words(got.body))
		}
	}
}

// TestLongestComment: as many characters as are allowed, whatever they are made of.
func TestLongestComment(t *testing.T) {
	w := fullPage(t)
	o := &orders{world: w}
	longest := strings.Repeat("é\r\n", 499) + "éé"
	post(t, o.handler(), paths(w)["running"]+"/confirm", url.Values{"action": {"cancel"}, "comment": {longest}})
	if len(o.ordered) != 1 || o.ordered[0].Comment != strings.ReplaceAll(longest, "\r\n", "\n") {
		t.Errorf("ordered %+v", o.ordered)
	}
}

// TestConfirmIsForOperators: nobody else is asked, and nothing is asked about
// what is no action.
func TestConfirmIsForOperators(t *testing.T) {
	for query, tc := range map[string]struct {
		person page.Person
		status int
	}{
		"?action=cancel":                  {page.Person{}, http.StatusUnauthorized},
		"?action=terminate":               {page.Person{Name: "bob"}, http.StatusForbidden},
		"":                                {page.Person{Name: "ann", Operator: true}, http.StatusBadRequest},
		"?action=none":                    {page.Person{Name: "ann", Operator: true}, http.StatusBadRequest},
		"?action=cancel&action=terminate": {page.Person{Name: "ann", Operator: true}, http.StatusBadRequest},
	} {
		w := fullPage(t)
		w.Person = tc.person
		if got := get(t, handler(w), paths(w)["running"]+"/confirm"+query); got.status != tc.status || strings.Contains(got.body, "<form") {
			t.Errorf("%q: %d, want %d", query, got.status, tc.status)
		}
	}
}
