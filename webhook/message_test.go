package webhook_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestWhatIsNoMessage(t *testing.T) {
	for name, tc := range map[string]struct {
		method, body string
		status       int
	}{
		"a message":             {http.MethodPost, `{"version":"4","alerts":[]}`, http.StatusOK},
		"fields we do not know": {http.MethodPost, `{"version":"4","alerts":[],"new":{"x":[1]}}`, http.StatusOK},
		"another method":        {http.MethodPut, `{"version":"4","alerts":[]}`, http.StatusMethodNotAllowed},
		"nothing":               {http.MethodPost, "", http.StatusBadRequest},
		"no JSON":               {http.MethodPost, "severity=critical", http.StatusBadRequest},
		"half of one":           {http.MethodPost, `{"version":"4","alerts":[`, http.StatusBadRequest},
		"a list":                {http.MethodPost, "[]", http.StatusBadRequest},
		"an empty object":       {http.MethodPost, "{}", http.StatusBadRequest},
		"another version":       {http.MethodPost, `{"version":"5","alerts":[]}`, http.StatusBadRequest},
		"no version":            {http.MethodPost, `{"alerts":[]}`, http.StatusBadRequest},
		"a number as version":   {http.MethodPost, `{"version":4,"alerts":[]}`, http.StatusBadRequest},
		"no alerts":             {http.MethodPost, `{"version":"4","status":"firing"}`, http.StatusBadRequest},
		"null alerts":           {http.MethodPost, `{"version":"4","alerts":null}`, http.StatusBadRequest},
		"too much":              {http.MethodPost, `{"version":"4","alerts":[]}` + strings.Repeat(" ", 4<<20), http.StatusRequestEntityTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := lone(t)
			r := httptest.NewRequestWithContext(t.Context(), tc.method, "/webhook", strings.NewReader(tc.body))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tc.status {
				t.Errorf("status %d %s, want %d", w.Code, w.Body, tc.status)
			}
			if said := strings.TrimSpace(w.Body.String()); said == "" || strings.Contains(said, "\n") {
				t.Errorf("it says %q", said)
			}
		})
	}
}

// The status of each alert counts, never the group's.
func TestResolvedAlertsAreOnlyCounted(t *testing.T) {
	h, registry := lone(t)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhook", strings.NewReader(`{"version":"4",
		"status":"firing","truncatedAlerts":7,"alerts":[{"status":"resolved"},{"status":"firing","fingerprint":"f"},{"status":"resolved"},{}]}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	const want = `{"results":[{"fingerprint":"f","server":"","pid":"","action":"none","outcome":"refused","reason":"no_pid","rule":""}]}`
	if got := strings.TrimSpace(w.Body.String()); w.Code != http.StatusOK || got != want {
		t.Errorf("%d %s, want %s", w.Code, got, want)
	}
	for series, want := range map[string]float64{
		"pgbailiff_webhook_alerts_total{status=firing}":   1,
		"pgbailiff_webhook_alerts_total{status=resolved}": 3,
		"pgbailiff_webhook_truncated_alerts_total{}":      7,
		"pgbailiff_webhook_requests_total{code=200}":      1,
		"pgbailiff_refusals_total{reason=no_pid,server=}": 1,
	} {
		if got := metric(t, registry, series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
}
