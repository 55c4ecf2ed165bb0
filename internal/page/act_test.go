package page_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
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
		{remediation.Result{Outcome: ledger.DryRun}, http.StatusBadGateway, "No signal was sent"},
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

// TestBadForms: what is not the form of the page orders nothing.
func TestBadForms(t *testing.T) {
	const good = "action=cancel&query_start=2026-11-22T09:55:43.000000Z"
	answers := "/approvals/7"
	w := fullPage(t)
	act := paths(w)["running"] + "/confirm"
	for name, tc := range map[string]struct {
		path, body, kind string
		change           func(*world)
		status           int
		want             string
	}{
		"nobody":               {path: act, body: good, change: func(w *world) { w.Person = page.Person{} }, status: 401, want: "Nobody is signed in"},
		"no operator":          {path: act, body: good, change: func(w *world) { w.Person.Operator = false }, status: 403, want: "You are not one of people.operators."},
		"nobody answers":       {path: answers, body: "decision=approve", change: func(w *world) { w.Person = page.Person{} }, status: 401, want: "Nobody is signed in"},
		"no operator answers":  {path: answers, body: "decision=deny", change: func(w *world) { w.Person.Operator = false }, status: 403, want: "You are not one"},
		"no form":              {path: act, body: good, kind: "text/plain", status: 415, want: "the form of the page only"},
		"JSON":                 {path: act, body: `{"action":"cancel"}`, kind: "application/json", status: 415, want: "the form of the page only"},
		"multipart":            {path: act, body: "--a\r\n", kind: "multipart/form-data; boundary=a", status: 415, want: "the form of the page only"},
		"nothing":              {path: act, body: "", status: 400, want: "An action is cancel"},
		"no action":            {path: act, body: "query_start=2026-11-22T09:55:43.000000Z", status: 400, want: "An action is cancel"},
		"action none":          {path: act, body: "action=none", status: 400, want: "An action is cancel"},
		"two actions":          {path: act, body: "action=cancel&action=terminate", status: 400, want: "a field twice"},
		"two times":            {path: act, body: good + "&query_start=2026-11-22T09:55:43.000000Z", status: 400, want: "a field twice"},
		"a rounded time":       {path: act, body: "action=cancel&query_start=2026-11-22T09:55:43Z", status: 400, want: "is not of the form"},
		"an unknown field":     {path: act, body: good + "&pid=1", status: 400, want: "a field that is not the page's"},
		"an unknown lift":      {path: act, body: good + "&lift=sync_rep", status: 400, want: "cannot be set aside"},
		"a lift twice":         {path: act, body: good + "&lift=rule&lift=rule", status: 400, want: "a field twice"},
		"a long comment":       {path: act, body: good + "&comment=" + strings.Repeat("%C3%A9", 1001), status: 400, want: "longer than 1,000 characters"},
		"a comment of 1 MB":    {path: act, body: good + "&comment=" + strings.Repeat("x", 1<<20), status: 413, want: "larger than 64 KiB"},
		"not UTF-8":            {path: act, body: good + "&comment=%FF", status: 400, want: "not UTF-8"},
		"broken escapes":       {path: act, body: good + "&comment=%", status: 400, want: "cannot be read"},
		"a semicolon":          {path: act, body: good + ";lift=rule", status: 400, want: "cannot be read"},
		"the query is no form": {path: act + "?" + good, body: "", status: 400, want: "An action is cancel"},
		"no decision":          {path: answers, body: "", status: 400, want: "A decision is approve or deny."},
		"another decision":     {path: answers, body: "decision=yes", status: 400, want: "A decision is approve or deny."},
		"two decisions":        {path: answers, body: "decision=deny&decision=approve", status: 400, want: "a field twice"},
		"a long answer":        {path: answers, body: "decision=deny&comment=" + strings.Repeat("x", 1001), status: 400, want: "longer than 1,000"},
		"an answer of 1 MB":    {path: answers, body: "decision=deny&comment=" + strings.Repeat("x", 1<<20), status: 413, want: "larger than 64 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			w := w
			if tc.change != nil {
				tc.change(&w)
			}
			o := &orders{world: w}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, tc.path, strings.NewReader(tc.body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if tc.kind != "" {
				r.Header.Set("Content-Type", tc.kind)
			}
			got := do(o.handler(), r)
			if said := words(got.body); got.status != tc.status || !strings.Contains(said, tc.want) {
				t.Errorf("%d, want %d with %q: %s", got.status, tc.status, tc.want, said)
			}
			if len(o.ordered)+len(o.answers) > 0 {
				t.Errorf("ordered %v, answered %v", o.ordered, o.answers)
			}
		})
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

// TestApprovals: operators have the forms, others see what waits.
func TestApprovals(t *testing.T) {
	w := fullPage(t)
	got := get(t, handler(w), "/approvals")
	said := words(got.body)
	for _, want := range []string{
		"terminate pid 19377 on orders Asked 11:01:54 UTC, 4 min ago Until 11:31:54 UTC, 26 min left",
		"Alert PgbailiffLongQueryCritical critical Rule dashboards may be dropped", "Deny Approve: terminate", "Approve: cancel",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("does not say %q: %s", want, said)
		}
	}
	for _, person := range []page.Person{{}, {Name: "bob"}} {
		w.Person = person
		if html := get(t, handler(w), "/approvals").body; strings.Contains(html, "<form") || !strings.Contains(html, "pid 19377") {
			t.Errorf("%v: has a form, or not the list", person)
		}
	}
	w.Waiting = nil
	if said := words(get(t, handler(w), "/approvals").body); !strings.Contains(said, "Nothing waits.") {
		t.Error(said)
	}
}

// TestAnswer: an answer is given once, to what waits, and says what became of it.
func TestAnswer(t *testing.T) {
	w := fullPage(t)
	denied := remediation.Result{Outcome: ledger.Refused, Reason: policy.ReasonDenied, By: "ann", Detail: "ann denied it: no"}
	for name, tc := range map[string]struct {
		decision string
		result   remediation.Result
		err      error
		status   int
		want     string
	}{
		"approved":         {"approve", remediation.Result{Outcome: ledger.Terminated}, nil, http.StatusOK, "terminated The session has ended"},
		"gone":             {"approve", remediation.Result{Outcome: ledger.Gone}, nil, http.StatusNotFound, "gone Nothing was left to do"},
		"refused":          {"approve", remediation.Result{Outcome: ledger.Refused, Reason: policy.ReasonProtectedUser}, nil, http.StatusConflict, "refused Nothing was done"},
		"denied":           {"deny", denied, nil, http.StatusOK, "Repeats of the alert about the same are refused."},
		"unknown":          {"approve", remediation.Result{}, ledger.ErrNoApproval, http.StatusNotFound, "Nothing with this id waits"},
		"answered already": {"deny", remediation.Result{}, fmt.Errorf("x: %w", ledger.ErrAnswered), http.StatusConflict, "It was answered already"},
		"not written":      {"approve", remediation.Result{}, http.ErrBodyNotAllowed, http.StatusServiceUnavailable, "Your answer could not be written down"},
	} {
		o := &orders{world: w, Result: tc.result, Err: tc.err}
		got := post(t, o.handler(), "/approvals/01J0Q", url.Values{"decision": {tc.decision}, "comment": {"no"}})
		if said := words(got.body); got.status != tc.status || !strings.Contains(said, tc.want) || strings.Contains(said, "if you go back") {
			t.Errorf("%s: %d, want %d with %q: %s", name, got.status, tc.status, tc.want, said)
		}
		if want := tc.decision + " 01J0Q ann no"; len(o.answers) != 1 || o.answers[0] != want {
			t.Errorf("%s: answered %q, want %q", name, o.answers, want)
		}
	}
}
