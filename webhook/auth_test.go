package webhook_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/auth"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

func TestWebhookIsNotOpenToEverybody(t *testing.T) {
	srv := pgtest.Start(t)
	b := newTestHandler(t, srv)
	locked := newTestHandler(t, srv, func(b *testHandler) { b.auth = auth.Authenticator{} })
	c := srv.Run(t, "app", "select pg_sleep(60)")
	for _, tc := range []struct {
		b      *testHandler
		header string
		status int
	}{
		{b, "", http.StatusUnauthorized},
		{b, "Bearer", http.StatusUnauthorized},
		{b, "Bearer secre", http.StatusUnauthorized},
		{b, "Bearer secret2", http.StatusUnauthorized},
		{b, "Basic c2VjcmV0OnNlY3JldA==", http.StatusUnauthorized},
		{b, "secret", http.StatusUnauthorized},
		{locked, "Bearer secret", http.StatusForbidden},
		{locked, "Bearer ", http.StatusForbidden},
	} {
		r := newRequest(t, message(time.Now(), identity(t, c, "critical")))
		r.Header.Set("Authorization", tc.header)
		w := httptest.NewRecorder()
		tc.b.ServeHTTP(w, r)
		if w.Code != tc.status || len(tc.b.ledger.Recent(1)) != 0 {
			t.Errorf("%q: status %d, ledger %+v", tc.header, w.Code, tc.b.ledger.Recent(1))
		}
	}
	if !c.Running() {
		t.Error("the query was ended")
	}
}
