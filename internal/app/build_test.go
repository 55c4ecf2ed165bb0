package app

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/remediation"
)

// Where client certificates replace the token, a request without one gives no
// order in enforce mode, even if it has come past the listener.
func TestWithoutACertificateNobodyIsLetInToEnforce(t *testing.T) {
	a, _ := newTestApp(t, "servers: ["+down+"]")
	defer a.stop()
	for mode, want := range map[remediation.Mode]int{
		remediation.ModeEnforce: http.StatusForbidden,
		remediation.ModeDryRun:  http.StatusUnsupportedMediaType, // let in, but it is no message
	} {
		g := *a.generations.current.Load()
		cfg := *g.cfg
		cfg.Remediation.Mode = mode
		g.cfg = &cfg
		h := a.handlers(&g, access{webhook: listener{tls: true, clientCertificates: true}})
		answer := httptest.NewRecorder()
		h.webhook.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhook", nil))
		if answer.Code != want {
			t.Errorf("%s: %d %s, want %d", mode, answer.Code, answer.Body, want)
		}
	}
}
