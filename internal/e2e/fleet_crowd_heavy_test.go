//go:build heavy

package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// TestTenThousandUnreachableServers: a replica with ten thousand servers, all of
// them unreachable but one, is ready, lists them, has no more metrics than with
// ten, and carries out an alert about the one.
func TestTenThousandUnreachableServers(t *testing.T) {
	t.Parallel()
	orders := pgtest.Start(t)
	session := target{orders.Open(t, "app"), "orders"}
	get := func(f *fleet, path string) string {
		t.Helper()
		text, err := proctest.Get(t, f.replicas[0].url()+path)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	var lines [2]int
	for i, n := range []int{10, 10000} {
		f := startUnreachable(t, orders, n)
		for range 10 {
			f.cancelled(&http.Transport{DisableKeepAlives: true}, session)
			get(f, "/-/ready")
			lines[i] = strings.Count(get(f, "/metrics"), "\n")
		}
		var groups []struct {
			Targets []string
			Labels  map[string]string
		}
		if err := json.Unmarshal([]byte(get(f, "/api/v1/targets")), &groups); err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for _, group := range groups {
			if len(group.Targets) == 1 && group.Targets[0] == f.replicas[0].address() && group.Labels["__param_server"] == group.Labels["server"] {
				names[group.Labels["server"]] = true
			}
		}
		if len(groups) != n || len(names) != n || !names["orders"] {
			t.Errorf("of %d servers there are %d target groups, with %d names", n, len(groups), len(names))
		}
		if got := get(f, "/probe?server=down00000"); !strings.Contains(got, `pgbailiff_up{server="down00000"} 0`) {
			t.Errorf("a server that is down has\n%s", got)
		}
		if got := get(f, "/probe?server=orders"); !strings.Contains(got, `pgbailiff_up{server="orders"} 1`) {
			t.Errorf("the server that is up has\n%s", got)
		}
	}
	if lines[1] > lines[0]+10 {
		t.Errorf("/metrics has %d lines with ten servers and %d with ten thousand", lines[0], lines[1])
	}
}

// TestAHungServerAmongAHundred: while 2,000 alerts wait for a server that hangs,
// those about the others are carried out. It is told that a repeat can help, and a
// repeat does.
func TestAHungServerAmongAHundred(t *testing.T) {
	t.Parallel()
	h := startHundred(t)
	resume := h.hung.Halt(t)
	answered := h.flood(2000)
	over := &http.Transport{DisableKeepAlives: true}
	for _, session := range h.sessions {
		h.cancelled(over, session)
	}
	failed := 0
	answered(func(status int, results []result) {
		if status != http.StatusServiceUnavailable {
			t.Errorf("an alert about a server that hangs is answered %d", status)
		}
		for _, r := range results {
			if r.Outcome == "failed" {
				failed++
			}
		}
	})
	if failed != 2000 {
		t.Errorf("%d alerts have failed", failed)
	}
	if !h.sleeper.Running() {
		t.Errorf("the session on the server that hangs was hit: %v", h.sleeper.Wait(t))
	}
	resume()
	h.awaitHung()
	results, status, err := post(proctest.Deadline(t), over, h.replicas[0].url(), h.alert)
	if err != nil || status != http.StatusOK || results[0].Outcome != "cancelled" {
		t.Errorf("the repeat is answered %d %+v, %v", status, results, err)
	}
	met := hitsIn(h.hung)
	for id, n := range met {
		if n.cancels+n.terminates != 1 {
			t.Errorf("the session %s met %+v", id, n)
		}
	}
	if len(met) != 1 {
		t.Errorf("%d sessions of the server that hung were hit", len(met))
	}
}
