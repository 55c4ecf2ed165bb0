package api_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/api"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

func TestOnePIDOnTwoServers(t *testing.T) {
	of := func(name string, seconds float64) *server {
		return &server{name: name, snapshot: session.Snapshot{LocksKnown: true}, found: map[int32]session.Found{
			42: {Session: client(name, 42, session.StateActive, seconds), Own: session.No, SeenAt: seenAt},
		}}
	}
	servers := settings(of("orders", 1), of("stock", 2), of("billing", 3))
	for query, want := range map[string][]string{
		"?pid=42":              {"billing 42", "stock 42", "orders 42"},
		"?pid=42&server=stock": {"stock 42"},
		"?pid=43":              {},
	} {
		if diff := cmp.Diff(want, list(t, sessions(t, servers, query))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
}

func TestWhatIsAskedForSessions(t *testing.T) {
	const badDuration, badPID = "min_duration is not a duration, such as 10s or 1h30m", "pid is not a process id, which is a number above 0"
	for query, tt := range map[string]struct {
		status int
		minAge float64
		why    string
	}{
		"":                             {http.StatusOK, 10, ""},
		"?min_duration=&server=&pid=":  {http.StatusOK, 10, ""},
		"?min_duration=0":              {http.StatusOK, 0, ""},
		"?min_duration=0s":             {http.StatusOK, 0, ""},
		"?min_duration=1h30m":          {http.StatusOK, 5400, ""},
		"?min_duration=500ms":          {http.StatusOK, 0.5, ""},
		"?min_duration=10":             {http.StatusBadRequest, 0, badDuration},
		"?min_duration=-10s":           {http.StatusBadRequest, 0, badDuration},
		"?min_duration=1.5s":           {http.StatusBadRequest, 0, badDuration},
		"?min_duration=<script>":       {http.StatusBadRequest, 0, badDuration},
		"?min_duration=10s&server=all": {http.StatusNotFound, 0, "no server of this name is configured"},
		"?server=ORDERS":               {http.StatusNotFound, 0, "no server of this name is configured"},
		"?server=billing&pid=42":       {http.StatusNotFound, 0, "no server of this name is configured"},
		"?pid=x":                       {http.StatusBadRequest, 0, badPID},
		"?pid=0":                       {http.StatusBadRequest, 0, badPID},
		"?pid=-1":                      {http.StatusBadRequest, 0, badPID},
		"?pid=4294967338":              {http.StatusBadRequest, 0, badPID},
		"?pid=42&min_duration=x":       {http.StatusBadRequest, 0, badDuration},
	} {
		orders := &server{name: "orders", snapshot: session.Snapshot{LocksKnown: true}}
		status, body := get(t.Context(), api.Sessions(settings(orders), log.NewNopLogger()), path+query)
		if status != tt.status || tt.why != "" && body != told(tt.why) {
			t.Errorf("%s: %d %s", query, status, body)
		}
		if tt.status == http.StatusOK && (len(orders.asked) != 1 || orders.asked[0].MinAge != tt.minAge) {
			t.Errorf("%s: asked for %+v", query, orders.asked)
		}
	}
}

func TestPolicyWithoutSeverities(t *testing.T) {
	asked := settings(&server{name: "orders", snapshot: session.Snapshot{
		LocksKnown: true, Sessions: []session.Aged{aged(client("orders", 42, session.StateActive, 20), session.Ages{20})},
	}})
	asked.Severities = nil
	asked.Preview = func(_ context.Context, req remediation.Request) remediation.Preview {
		if _, has := req.Labels["severity"]; has {
			t.Errorf("asked about %v", req.Labels)
		}
		return remediation.Preview{Reason: "rule"}
	}
	if got := sessions(t, asked, ""); !strings.Contains(got, `"policy":{"":{"action":"","first":"","outcome":"","reason":"rule",`) {
		t.Errorf("%s", got)
	}
}

// Where there are many servers, a request that names none reads none.
func TestSessionsOfAFleetNameAServer(t *testing.T) {
	var all []api.Server
	for i := range 4 {
		all = append(all, &server{name: fmt.Sprintf("db%d", i), snapshot: session.Snapshot{LocksKnown: true}})
	}
	s := settings(all...)
	s.MostServers = 3
	for _, query := range []string{"", "?server=", "?pid=7", "?min_duration=1h"} {
		status, body := get(t.Context(), api.Sessions(s, log.NewNopLogger()), path+query)
		if status != http.StatusBadRequest || !strings.Contains(body, "there are 4 servers, and no more than 3 are read at once: name one with server=NAME, in a terminal with --server=NAME") {
			t.Errorf("%q: %d %s", query, status, body)
		}
	}
	for _, query := range []string{"?server=db2", "?server=db2&pid=7"} {
		if body := sessions(t, s, query); !strings.Contains(body, `"errors":[]`) {
			t.Errorf("%q: %s", query, body)
		}
	}
	for i, want := range []int{0, 0, 1, 0} { // of pid 7, which is not there, nobody waits
		if got := len(all[i].(*server).asked); got != want {
			t.Errorf("db%d was read %d times, want %d", i, got, want)
		}
	}
}

// The policy is asked between the two ends of a thought, and the servers are read
// before it.
func TestThePolicyIsAskedInATurn(t *testing.T) {
	var mu sync.Mutex
	var said []string
	note := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, what)
	}
	found := session.Snapshot{LocksKnown: true, Sessions: []session.Aged{aged(client("orders", 42, session.StateActive, 20), session.Ages{20, 20})}}
	s := settings(&server{name: "orders", snapshot: found})
	s.Severities = s.Severities[:1]
	s.Preview = func(context.Context, remediation.Request) remediation.Preview {
		note("asked")
		return remediation.Preview{}
	}
	s.Think = func(context.Context) func() {
		note(fmt.Sprintf("begins after %d readings", len(s.Servers[0].(*server).asked)))
		return func() { note("ends") }
	}
	sessions(t, s, "")
	if got := strings.Join(said, ", "); got != "begins after 1 readings, asked, ends" {
		t.Error(got)
	}
}
