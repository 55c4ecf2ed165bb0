package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/api"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

func TestApprovals(t *testing.T) {
	zone := time.FixedZone("east", 3600)
	list := func() []ledger.Entry {
		return []ledger.Entry{{
			Time: time.Date(2026, 11, 22, 13, 0, 0, 0, zone), Event: ledger.EventAsked, ID: "ID", Decision: "ID", Server: "orders",
			Target: ledger.Target{PID: 42, BackendStart: ledger.Time{Time: at(backendStart)}, QueryStart: ledger.Time{Time: at(queryStart)}},
			Action: "terminate", Outcome: ledger.Pending, Reason: "approval", Rule: "ask first",
			Origin: ledger.Origin{Source: ledger.SourceAlert, Alertname: "LongQuery", Severity: "critical", Fingerprint: "f"},
			Facts: ledger.Facts{
				Datname: "shop", Usename: "app", ApplicationName: "<web>", ClientAddr: "10.0.0.1", State: session.StateActive,
				WaitEventType: "Lock", WaitEvent: "tuple", SessionID: "6b02cc92.2a", Query: "SELECT secret",
			},
			Question: ledger.Question{
				Labels: map[string]string{"team": "secret"}, Until: time.Date(2026, 11, 22, 13, 30, 0, 0, zone),
			},
		}}
	}
	want := `{"approvals":[{"id":"ID","server":"orders","pid":42,` +
		`"backend_start":"` + backendStart + `","query_start":"` + queryStart + `","xact_start":"","state_change":"",` +
		`"action":"terminate","rule":"ask first","alertname":"LongQuery","severity":"critical","fingerprint":"f",` +
		`"asked_at":"2026-11-22T12:00:00Z","until":"2026-11-22T12:30:00Z",` +
		`"datname":"shop","usename":"app","application_name":"\u003cweb\u003e","client_addr":"10.0.0.1","state":"active",` +
		`"wait_event_type":"Lock","wait_event":"tuple","session_id":"6b02cc92.2a"}]}` + "\n"
	if status, body := get(t.Context(), api.Approvals(list, log.NewNopLogger()), "/api/v1/approvals"); status != http.StatusOK || body != want {
		t.Errorf("%d %s\nwant %s", status, body, want)
	}
	nothing := func() []ledger.Entry { return nil }
	if _, body := get(t.Context(), api.Approvals(nothing, log.NewNopLogger()), "/api/v1/approvals"); body != `{"approvals":[]}`+"\n" {
		t.Errorf("nothing waits: %s", body)
	}
}

func TestAnswer(t *testing.T) {
	denied := `{"fingerprint":"f","server":"orders","pid":42,"action":"cancel","outcome":"refused","reason":"denied","rule":"","by":"ann","detail":"no","id":"ID"}` + "\n"
	cancelled := result()
	cancelled.Outcome = ledger.Cancelled
	deny := remediation.Result{
		Fingerprint: "f", Server: "orders", PID: 42, Action: "cancel", Outcome: ledger.Refused, Reason: "denied", By: "ann", Detail: "no", Decision: "ID",
	}
	for name, tt := range map[string]struct {
		body   string
		result remediation.Result
		err    error
		called string
		status int
		want   string
	}{
		"approved, and refused now": {`{"decision":"approve","comment":"go"}`, result(), nil, "approve ID ann go", http.StatusConflict, wholeResult},
		"approved, and done": {
			`{"decision":"approve"}`, cancelled, nil, "approve ID ann ", http.StatusOK,
			strings.Replace(wholeResult, `"refused"`, `"cancelled"`, 1),
		},
		"denied":       {`{"decision":"deny","comment":"no"}`, deny, nil, "deny ID ann no", http.StatusOK, denied},
		"unknown":      {`{"decision":"approve"}`, deny, ledger.ErrNoApproval, "approve ID ann ", http.StatusNotFound, told(ledger.ErrNoApproval.Error())},
		"answered":     {`{"decision":"deny"}`, deny, ledger.ErrAnswered, "deny ID ann ", http.StatusConflict, told(ledger.ErrAnswered.Error())},
		"wrapped":      {`{"decision":"deny"}`, deny, fmt.Errorf("deny: %w", ledger.ErrAnswered), "deny ID ann ", http.StatusConflict, told(ledger.ErrAnswered.Error())},
		"not recorded": {`{"decision":"approve"}`, deny, errors.New("/var/lib: no space left"), "approve ID ann ", http.StatusServiceUnavailable, told("it still waits: the ledger could not be written")},
		"no decision":  {`{"comment":"go"}`, deny, nil, "", http.StatusBadRequest, told("decision is missing")},
		"another one":  {`{"decision":"approved"}`, deny, nil, "", http.StatusBadRequest, told("decision is not approve or deny")},
		"empty":        {`{"decision":""}`, deny, nil, "", http.StatusBadRequest, told("decision is not approve or deny")},
		"null":         {`{"decision":null}`, deny, nil, "", http.StatusBadRequest, told("decision is not a string")},
		"twice":        {`{"decision":"deny","decision":"approve"}`, deny, nil, "", http.StatusBadRequest, told("decision is there twice")},
		"unknown key":  {`{"decision":"deny","by":"bob"}`, deny, nil, "", http.StatusBadRequest, `{"error":"the key \"by\" is not known"}` + "\n"},
		"a long comment": {
			`{"decision":"deny","comment":"` + strings.Repeat("x", 1001) + `"}`, deny, nil, "", http.StatusBadRequest, told("comment is longer than 1000 characters"),
		},
		"a comment of 1 MB": {
			`{"decision":"deny","comment":"` + strings.Repeat("x", 1<<20) + `"}`, deny, nil, "", http.StatusRequestEntityTooLarge, told("the body is larger than 65536 bytes"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			called := ""
			answer := func(verb string) func(context.Context, string, string, string) (remediation.Result, error) {
				return func(_ context.Context, id, by, comment string) (remediation.Result, error) {
					called = verb + " " + id + " " + by + " " + comment
					return tt.result, tt.err
				}
			}
			h := api.Answer(answer("approve"), answer("deny"), is("ann", true), log.NewNopLogger())
			status, body := post(t, h, "/api/v1/approvals/{id}", "/api/v1/approvals/ID", jsonType, tt.body)
			if status != tt.status || body != tt.want {
				t.Errorf("%d %s\nwant %d %s", status, body, tt.status, tt.want)
			}
			if called != tt.called {
				t.Errorf("called %q, want %q", called, tt.called)
			}
		})
	}
}

func TestAnAnswerIsGivenEvenIfTheClientHangsUp(t *testing.T) {
	asked := false
	answer := func(ctx context.Context, _, _, _ string) (remediation.Result, error) {
		asked = ctx.Err() == nil
		return remediation.Result{}, nil
	}
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/api/v1/approvals/ID", strings.NewReader(`{"decision":"approve"}`))
	r.Header.Set("Content-Type", jsonType)
	api.Answer(answer, nil, is("ann", true), log.NewNopLogger()).ServeHTTP(httptest.NewRecorder(), r)
	if !asked {
		t.Error("it was given up")
	}
}
