package page_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/page"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
)

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
