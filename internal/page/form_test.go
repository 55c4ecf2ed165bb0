package page_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/page"
)

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
