package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
)

func TestTheAnswerSaysHowItEnded(t *testing.T) {
	order := `{"server":"orders","pid":42,"action":"cancel"}`
	for name, tt := range map[string]struct {
		result remediation.Result
		status int
	}{
		"cancelled":                         {remediation.Result{Outcome: ledger.Cancelled}, http.StatusOK},
		"terminated":                        {remediation.Result{Outcome: ledger.Terminated}, http.StatusOK},
		"gone":                              {remediation.Result{Outcome: ledger.Gone}, http.StatusNotFound},
		"refused":                           {remediation.Result{Outcome: ledger.Refused}, http.StatusConflict},
		"ignored":                           {remediation.Result{Outcome: ledger.Ignored}, http.StatusBadGateway},
		"superseded":                        {remediation.Result{Outcome: ledger.Superseded}, http.StatusBadGateway},
		"failed":                            {remediation.Result{Outcome: ledger.Failed}, http.StatusBadGateway},
		"dry run":                           {remediation.Result{Outcome: ledger.DryRun}, http.StatusOK},
		"pending":                           {remediation.Result{Outcome: ledger.Pending}, http.StatusBadGateway},
		"none":                              {remediation.Result{}, http.StatusBadGateway},
		"the server is down":                {remediation.Result{Outcome: ledger.Failed, Retry: true}, http.StatusServiceUnavailable},
		"a refusal that cannot be recorded": {remediation.Result{Outcome: ledger.Refused, Retry: true}, http.StatusServiceUnavailable},
		"gone, and cannot be recorded":      {remediation.Result{Outcome: ledger.Gone, Retry: true}, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			r := &remediator{result: tt.result}
			if status, body := post(t, r.handler(is("ann", true)), actions, actions, jsonType, order); status != tt.status {
				t.Errorf("%d %s, want %d", status, body, tt.status)
			}
		})
	}
}

const wholeResult = `{"fingerprint":"f","server":"orders","pid":42,"action":"cancel","outcome":"refused","reason":"rule",` +
	`"rule":"nightly load","by":"ann","detail":"the rule says none","id":"ID"}` + "\n"

func result() remediation.Result {
	return remediation.Result{
		Fingerprint: "f", Server: "orders", PID: 42, Action: "cancel", Outcome: ledger.Refused, Reason: "rule", Rule: "nightly load",
		By: "ann", Detail: "the rule says none", Decision: "ID",
	}
}

func TestTheAnswerHasAllKeys(t *testing.T) {
	r := &remediator{result: result()}
	if _, body := post(t, r.handler(is("ann", true)), actions, actions, jsonType, `{"action":"cancel"}`); body != wholeResult {
		t.Errorf("%s\nwant %s", body, wholeResult)
	}
	empty := `{"fingerprint":"","server":"","pid":0,"action":"","outcome":"","reason":"","rule":"","by":"","detail":"","id":""}` + "\n"
	r.result = remediation.Result{}
	if _, body := post(t, r.handler(is("ann", true)), actions, actions, jsonType, `{"action":"cancel"}`); body != empty {
		t.Errorf("%s\nwant %s", body, empty)
	}
}

func TestAnOrderGoesOnWhenTheClientHangsUp(t *testing.T) {
	r := &remediator{}
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	request := httptest.NewRequestWithContext(ctx, http.MethodPost, actions, strings.NewReader(`{"action":"cancel"}`))
	request.Header.Set("Content-Type", jsonType)
	r.handler(is("ann", true)).ServeHTTP(httptest.NewRecorder(), request)
	if r.asked == nil || r.ctx.Err() != nil {
		t.Errorf("ordered: %t, %v", r.asked != nil, r.ctx)
	}
}
