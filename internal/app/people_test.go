package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// peopleConfig lets these operators act, whom a proxy names that has the address
// of httptest's requests.
func peopleConfig(dir, operators string) string {
	return fmt.Sprintf("servers: [%s]\nremediation: {ledger: {file: %q}}\n"+
		"people: {operators: [%s], user_header: X-Forwarded-User, trusted_proxies: [192.0.2.1]}\n",
		down, filepath.Join(dir, "ledger.jsonl"), operators)
}

// order sends an order by hand that names no session, and returns the status.
func order(t *testing.T, h http.Handler, by string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/actions",
		strings.NewReader(`{"server":"down","pid":4711,"action":"cancel"}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Forwarded-User", by)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// The request after a reload is judged by what was loaded.
func TestAReloadSwapsWhoMayAct(t *testing.T) {
	dir := t.TempDir()
	a, file := newTestApp(t, peopleConfig(dir, "ann"))
	defer a.stop()
	main, own := a.routes()
	if own != nil {
		t.Error("there is a listener of the webhook's own")
	}
	for _, step := range []struct {
		operators string
		ann, eve  int
	}{
		{"ann", http.StatusConflict, http.StatusForbidden},
		{"eve", http.StatusForbidden, http.StatusConflict},
		{"'*'", http.StatusConflict, http.StatusConflict},
		{"", http.StatusForbidden, http.StatusForbidden},
	} {
		write(t, file, peopleConfig(dir, step.operators))
		if err := a.reload(t.Context(), "ann"); err != nil {
			t.Fatal(err)
		}
		for by, want := range map[string]int{"ann": step.ann, "eve": step.eve, "": http.StatusUnauthorized} {
			if status, body := order(t, main, by); status != want {
				t.Errorf("operators %s, by %q: %d %s, want %d", step.operators, by, status, body, want)
			}
		}
	}
}

// Only what was loaded is in the ledger, and only if a person has done it.
func TestWhoHasReloadedIsInTheLedger(t *testing.T) {
	dir := t.TempDir()
	a, file := newTestApp(t, peopleConfig(dir, "ann"))
	defer a.stop()
	for _, step := range []struct{ by, config string }{
		{"", peopleConfig(dir, "ann")}, {"ann", peopleConfig(dir, "ann")}, {"eve", "servers: nothing"},
	} {
		write(t, file, step.config)
		if err := a.reload(t.Context(), step.by); (err != nil) != (step.by == "eve") {
			t.Error(err)
		}
	}
	var got []string
	for _, line := range a.ledger.Recent(10) {
		if line.Event == ledger.EventReloaded {
			got = append(got, line.By)
		}
	}
	if len(got) != 1 || got[0] != "ann" {
		t.Errorf("the ledger says that %q have reloaded", got)
	}
}

// An order by hand is one of those that a stop waits for, so after the stop there
// is none.
func TestAfterTheStopNobodyActs(t *testing.T) {
	a, _ := newTestApp(t, peopleConfig(t.TempDir(), "ann"))
	main, _ := a.routes()
	a.stop()
	status, body := order(t, main, "ann")
	if status != http.StatusServiceUnavailable || body != `{"error":"pgbailiff is stopping"}`+"\n" {
		t.Errorf("%d %s", status, body)
	}
}

// What may signal a session is counted, so that a stop waits for it. Those that
// change something without a signal are few.
func TestEveryRouteThatMaySignalIsCounted(t *testing.T) {
	reading, orders := routesOfMain()
	for _, r := range reading {
		if method, path, _ := strings.Cut(r.pattern, " "); method != http.MethodGet && path != "/-/reload" && path != "/-/resume" {
			t.Errorf("%s is not among the orders", r.pattern)
		}
	}
	for _, r := range orders {
		if !strings.HasPrefix(r.pattern, http.MethodPost+" ") {
			t.Errorf("%s is among the orders", r.pattern)
		}
	}
}
