package app

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// A replica that has never read the ledger does not know what waits and what was
// decided. It says so, and not that there is nothing.
func TestALedgerThatWasNeverReadHasNoEmptyLists(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	write(t, token, "secret")
	a, _ := newTestApp(t, onLedger("postgresql://nobody@127.0.0.1:1/pgbailiff?sslmode=disable")+"\nwebhook: {credentials_file: "+token+"}")
	defer a.stop()
	main, _ := a.routes()
	for _, path := range []string{"/api/v1/approvals", "/api/v1/decisions"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		r.Header.Set("Authorization", "Bearer secret")
		w := httptest.NewRecorder()
		main.ServeHTTP(w, r)
		if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), `{"error":"the ledger cannot be read`) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
