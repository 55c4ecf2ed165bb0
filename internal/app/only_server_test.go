package app

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// While the file of the other servers cannot be read, one server is left. An alert
// that names no server does not mean that one.
func TestTheServerThatIsLeftIsNotMeantByEveryAlert(t *testing.T) {
	f := newFilesApp(t, map[string]string{"bad.json": "nothing"})
	if got := len(f.generations.current.Load().servers); got != 1 {
		t.Fatalf("%d servers are left", got)
	}
	main, _ := f.routes()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhook", strings.NewReader(
		`{"version": "4", "alerts": [{"status": "firing", "labels": {"pid": "4711", "severity": "critical"}, "startsAt": "2026-11-22T11:05:54Z"}]}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	main.ServeHTTP(w, r)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"reason":"unknown_server"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
