package app

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// slowBody is a body at the end of whose first part something happens.
type slowBody struct {
	rest      string
	meanwhile func()
}

func (b *slowBody) Read(p []byte) (int, error) {
	if b.meanwhile != nil {
		b.meanwhile()
		b.meanwhile = nil
	}
	if b.rest == "" {
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// Who is removed while the order arrives may not give it any more, however slowly it
// is sent.
func TestAnOperatorWhoIsRemovedWhileTheOrderArrives(t *testing.T) {
	const session = "/sessions/down/7/2026-11-22T11:05:54.871475Z/confirm"
	for path, body := range map[string]string{
		"/api/v1/actions":     `{"server":"down","pid":4711,"action":"cancel"}`,
		"/api/v1/approvals/1": `{"decision":"approve"}`,
		"/approvals/1":        "decision=approve",
		session:               "action=cancel&query_start=2026-11-22T11:05:54.871475Z",
	} {
		for operators, refused := range map[string]bool{"eve": true, "ann": false} {
			dir := t.TempDir()
			a, file := newTestApp(t, peopleConfig(dir, "ann"))
			main, _ := a.routes()
			reloaded := errors.New("the body was not read")
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, &slowBody{rest: body, meanwhile: func() {
				write(t, file, peopleConfig(dir, operators))
				reloaded = a.reload(t.Context(), "")
			}})
			r.Header.Set("X-Forwarded-User", "ann")
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if strings.HasPrefix(path, "/api/") {
				r.Header.Set("Content-Type", "application/json")
			}
			w := httptest.NewRecorder()
			main.ServeHTTP(w, r)
			if reloaded != nil || (w.Code == http.StatusForbidden) != refused {
				t.Errorf("%s, %s may act now: %d %.200s, %v", path, operators, w.Code, w.Body, reloaded)
			}
			a.stop()
		}
	}
}

// A server may have any name; its addresses lead to it and to nothing else.
func TestOddNamesOfServersInAddresses(t *testing.T) {
	names := []string{
		"a/b", "a%2Fb", "/run/postgresql:5432", "db ü☃", "a b+c", "a?b=c", "a#b", "a&b", `a\\b`, "a;b", "...", "-", "confirm", "%", "a//b", "a/../b", "sessions",
	}
	config := "servers:\n"
	for _, name := range names {
		config += fmt.Sprintf("  - {name: %q, dsn: \"postgresql://nobody@127.0.0.1:1/postgres?sslmode=disable\"}\n", name)
	}
	a, _ := newTestApp(t, config)
	defer a.stop()
	main, _ := a.routes()
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		main.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}
	const session = "/7/2026-11-22T11:05:54.871475Z"
	for _, name := range names {
		// It is known, and cannot be read.
		path := "/sessions/" + url.PathEscape(name) + session
		if status, body := get(path); status != http.StatusServiceUnavailable || !strings.Contains(body, "The server could not be read") {
			t.Errorf("%s: %d %.300s", path, status, body)
		}
		if status, body := get("/api/v1/sessions?server=" + url.QueryEscape(name)); status != http.StatusOK || strings.Count(body, `"server":`) != 1 {
			t.Errorf("%q in the API: %d %s", name, status, body)
		}
		if status, _ := get("/?server=" + url.QueryEscape(name)); status != http.StatusOK {
			t.Errorf("%q on /: %d", name, status)
		}
	}
	for path, want := range map[string]int{
		"/sessions/a%252Fb%2F" + session: http.StatusNotFound, "/sessions/A%2Fb" + session: http.StatusNotFound,
		"/sessions/%00" + session: http.StatusNotFound, "/sessions/%ff" + session: http.StatusNotFound,
		"/sessions/" + strings.Repeat("x", 10000) + session: http.StatusNotFound,
		"/sessions/a/b" + session:                           http.StatusNotFound, "/api/v1/sessions?server=..": http.StatusNotFound,
		"/sessions/../-/reload": http.StatusTemporaryRedirect, "/sessions/%2e%2e/7/now": http.StatusNotFound,
	} {
		if status, body := get(path); status != want {
			t.Errorf("%.100s: %d %.200s, want %d", path, status, body, want)
		}
	}
}
