package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pgbailiff/pgbailiff/internal/api"
	"github.com/pgbailiff/pgbailiff/internal/auth"
	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

const actions = "/api/v1/actions"

// remediator answers every order with the result, and remembers the last one.
type remediator struct {
	result remediation.Result
	asked  *remediation.Request
	ctx    context.Context
}

func (r *remediator) remediate(ctx context.Context, req remediation.Request) remediation.Result {
	r.ctx, r.asked = ctx, &req
	return r.result
}

func (r *remediator) handler(person func(*http.Request) auth.Person) http.Handler {
	return api.Actions(r.remediate, person, log.NewNopLogger())
}

func at(label string) time.Time {
	t, err := session.ParseTime(label)
	if err != nil {
		panic(err)
	}
	return t
}

const (
	backendStart = "2026-11-22T11:05:54.871475Z"
	queryStart   = "2026-11-22T12:05:54.000001Z"
)

func TestAnOrderIsReadWhole(t *testing.T) {
	f := session.Fence{Server: "orders", PID: 42, BackendStart: at(backendStart), AlsoIdle: true}
	fence := func(change func(*session.Fence)) session.Fence {
		f := f
		change(&f)
		return f
	}
	for name, tt := range map[string]struct {
		body string
		want remediation.Request
	}{
		"a cancel": {
			`{"server":"orders","pid":42,"backend_start":"` + backendStart + `","query_start":"` + queryStart + `","action":"cancel"}`,
			remediation.Request{
				Order: remediation.Order{Action: "cancel"}, Fence: fence(func(f *session.Fence) { f.QueryStart = at(queryStart) }),
			},
		},
		"everything": {
			` { "action":"cancel-then-terminate", "lift":["protected_user","rule"], "comment":"a\tb\nç", "xact_start":"` + queryStart +
				`","query_start":"` + queryStart + `","state_change":"` + queryStart + `", "backend_start":"` + backendStart +
				`", "pid":42, "server":"orders" } `,
			remediation.Request{
				Order:   remediation.Order{Action: "cancel-then-terminate", Lift: []remediation.Reason{"protected_user", "rule"}},
				Comment: "a\tb\nç",
				Fence: fence(func(f *session.Fence) {
					f.QueryStart, f.XactStart, f.StateChange = at(queryStart), at(queryStart), at(queryStart)
				}),
			},
		},
		"as the list of sessions has it": {
			`{"server":"orders","pid":42,"backend_start":"` + backendStart + `","query_start":"","xact_start":"","state_change":"` + queryStart + `","action":"terminate","lift":[],"comment":""}`,
			remediation.Request{
				Order: remediation.Order{Action: "terminate", Lift: []remediation.Reason{}},
				Fence: fence(func(f *session.Fence) { f.StateChange = at(queryStart) }),
			},
		},
		"a bare pid": {
			`{"pid":42,"action":"terminate"}`,
			remediation.Request{Order: remediation.Order{Action: "terminate"}, Fence: session.Fence{PID: 42, AlsoIdle: true}},
		},
		"no pid": {
			`{"action":"cancel"}`,
			remediation.Request{Order: remediation.Order{Action: "cancel"}, Fence: session.Fence{AlsoIdle: true}, Invalid: session.ErrNoPID},
		},
		"a comment of 1000 runes": {
			`{"action":"cancel","pid":42,"comment":"` + strings.Repeat("€", 1000) + `"}`,
			remediation.Request{
				Order: remediation.Order{Action: "cancel"}, Fence: session.Fence{PID: 42, AlsoIdle: true}, Comment: strings.Repeat("€", 1000),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := &remediator{result: remediation.Result{Outcome: ledger.Cancelled}}
			tt.want.By, tt.want.Source = "ann", remediation.SourceManual
			if status, body := post(t, r.handler(is("ann", true)), actions, actions, jsonType+"; charset=utf-8", tt.body); status != http.StatusOK {
				t.Fatalf("%d %s", status, body)
			}
			if diff := cmp.Diff(&tt.want, r.asked, cmp.AllowUnexported(remediation.Request{}), cmpopts.EquateErrors()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoSuchObjectIsNoOrder(t *testing.T) {
	good := `"server":"orders","pid":42,"action":"cancel"`
	for name, tt := range map[string]struct{ body, why string }{
		"nothing":              {``, "the body is not one JSON object"},
		"no JSON":              {`pid=42`, "the body is not one JSON object"},
		"a list":               {`[]`, "the body is not one JSON object"},
		"null":                 {`null`, "the body is not one JSON object"},
		"an open object":       {`{` + good, "the body is not one JSON object"},
		"a missing comma":      {`{` + good + ` "comment":""}`, "the body is not one JSON object"},
		"a missing value":      {`{` + good + `,"comment":}`, "the body is not one JSON object"},
		"two objects":          {`{` + good + `}{` + good + `}`, "the body is not one JSON object"},
		"trailing text":        {`{` + good + `} x`, "the body is not one JSON object"},
		"a closing brace more": {`{` + good + `}}`, "the body is not one JSON object"},
		"not UTF-8":            {`{` + good + `,"comment":"` + "\xff" + `"}`, "the body is not valid UTF-8"},
		"an unknown key":       {`{` + good + `,"force":true}`, `the key \"force\" is not known`},
		"a key in upper case":  {`{` + good + `,"PID":43}`, `the key \"PID\" is not known`},
		"a long unknown key":   {`{"` + strings.Repeat("k", 10000) + `":1}`, `the key \"` + strings.Repeat("k", 256) + `…\" is not known`},
		"a key twice":          {`{` + good + `,"pid":42}`, "pid is there twice"},
		"no action":            {`{"server":"orders","pid":42}`, "action is missing"},
		"an empty object":      {`{}`, "action is missing"},
		"the action none":      {`{"pid":42,"action":"none"}`, "action is not cancel, terminate or cancel-then-terminate"},
		"an empty action":      {`{"pid":42,"action":""}`, "action is not cancel, terminate or cancel-then-terminate"},
		"an unknown action":    {`{"pid":42,"action":"Cancel"}`, "action is not cancel, terminate or cancel-then-terminate"},
		"an action of null":    {`{"pid":42,"action":null}`, "action is not a string"},
		"a pid in quotes":      {`{"pid":"42","action":"cancel"}`, "pid is not a process id, which is a number"},
		"a pid of null":        {`{"pid":null,"action":"cancel"}`, "pid is not a process id, which is a number"},
		"a broken pid":         {`{"pid":42.5,"action":"cancel"}`, "pid is not a process id, which is a number"},
		"a huge pid":           {`{"pid":4294967338,"action":"cancel"}`, "pid is not a process id, which is a number"},
		"pid 0":                {`{"pid":0,"action":"cancel"}`, "pid is not a process id, which is a number above 0"},
		"a negative pid":       {`{"pid":-1,"action":"cancel"}`, "pid is not a process id, which is a number above 0"},
		"a server of null":     {`{"server":null,"action":"cancel"}`, "server is not a string"},
		"a server of 1":        {`{"server":1,"action":"cancel"}`, "server is not a string"},
		"a rounded time": {
			`{"action":"cancel","backend_start":"2026-11-22T11:05:54Z"}`, "backend_start is not a time of the form 2006-01-02T15:04:05.000000Z",
		},
		"a shifted time": {
			`{"action":"cancel","query_start":"2026-11-22T11:05:54.871475+00:00"}`, "query_start is not a time of the form 2006-01-02T15:04:05.000000Z",
		},
		"a time of null":           {`{"action":"cancel","xact_start":null}`, "xact_start is not a string"},
		"a time of 0":              {`{"action":"cancel","state_change":0}`, "state_change is not a string"},
		"an unknown lift":          {`{"action":"cancel","lift":["sync_rep"]}`, "lift names a reason that cannot be lifted: sync_rep"},
		"a lift of null":           {`{"action":"cancel","lift":null}`, "lift is not a list of reasons"},
		"a lift of a list of null": {`{"action":"cancel","lift":[null]}`, "lift names a reason that cannot be lifted: "},
		"a lift in a string":       {`{"action":"cancel","lift":"rule"}`, "lift is not a list of reasons"},
		"a comment of null":        {`{"action":"cancel","comment":null}`, "comment is not a string"},
		"a comment of 1001 runes":  {`{"action":"cancel","comment":"` + strings.Repeat("x", 1001) + `"}`, "comment is longer than 1000 characters"},
		"a control character":      {`{"action":"cancel","comment":"a\u0000b"}`, "comment has control characters other than newline and tab"},
		"an escape sequence":       {`{"action":"cancel","comment":"\u001b[2J"}`, "comment has control characters other than newline and tab"},
		"a C1 control character":   {`{"action":"cancel","comment":"\u009b2J"}`, "comment has control characters other than newline and tab"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &remediator{}
			status, body := post(t, r.handler(is("ann", true)), actions, actions, jsonType, tt.body)
			if want := `{"error":"` + tt.why + "\"}\n"; status != http.StatusBadRequest || body != want {
				t.Errorf("%d %s, want %s", status, body, want)
			}
			if r.asked != nil {
				t.Errorf("it was ordered: %+v", r.asked)
			}
		})
	}
}

func TestTheBodyIsBounded(t *testing.T) {
	r := &remediator{result: remediation.Result{Outcome: ledger.Cancelled}}
	padded := func(size int) string {
		body := `{"action":"cancel"}`
		return body + strings.Repeat(" ", size-len(body))
	}
	if status, body := post(t, r.handler(is("ann", true)), actions, actions, jsonType, padded(64<<10)); status != http.StatusOK {
		t.Errorf("64 KiB: %d %s", status, body)
	}
	r.asked = nil
	status, body := post(t, r.handler(is("ann", true)), actions, actions, jsonType, padded(64<<10+1))
	if status != http.StatusRequestEntityTooLarge || body != told("the body is larger than 65536 bytes") || r.asked != nil {
		t.Errorf("64 KiB and a byte: %d %s", status, body)
	}
}

func TestAnOrderIsJSON(t *testing.T) {
	for _, contentType := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json/x", "json"} {
		r := &remediator{}
		status, body := post(t, r.handler(is("ann", true)), actions, actions, contentType, `{"action":"cancel"}`)
		if status != http.StatusUnsupportedMediaType || body != told("send Content-Type: application/json") || r.asked != nil {
			t.Errorf("%q: %d %s", contentType, status, body)
		}
	}
}

func TestOnlyOperatorsOrder(t *testing.T) {
	for name, tt := range map[string]struct {
		person func(*http.Request) auth.Person
		status int
		why    string
	}{
		"nobody": {is("", false), http.StatusUnauthorized, "nobody knows who you are: the name comes from the reverse proxy, basic auth or a client certificate"},
		// People never makes one, but the zero name must not act.
		"an operator without a name": {is("", true), http.StatusUnauthorized, "nobody knows who you are: the name comes from the reverse proxy, basic auth or a client certificate"},
		"not an operator":            {is("bob", false), http.StatusForbidden, "people.operators does not have your name"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			logger := log.NewLogfmtLogger(&out)
			never := func(context.Context, string, string, string) (remediation.Result, error) {
				t.Error("it was answered")
				return remediation.Result{}, nil
			}
			r := &remediator{}
			for _, h := range []http.Handler{api.Actions(r.remediate, tt.person, logger), api.Answer(never, never, tt.person, logger)} {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/x", unread{t}))
				if challenge, asked := w.Header()["Www-Authenticate"]; asked {
					t.Errorf("asked for %s", challenge)
				}
				if got := kindOf(w) + w.Body.String(); w.Code != tt.status || got != told(tt.why) {
					t.Errorf("%d %s", w.Code, got)
				}
			}
			if r.asked != nil {
				t.Errorf("it was ordered: %+v", r.asked)
			}
			if said := out.String(); strings.Count(said, "level=warn") != 2 || !strings.Contains(said, "path=/api/x") {
				t.Errorf("the log says %s", said)
			}
		})
	}
}
