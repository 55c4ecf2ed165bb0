package auth_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/auth"
)

func TestTheTokenOrAnOperatorIsLetIn(t *testing.T) {
	token := auth.Authenticator{CredentialsFile: tokenFile(t, "secret")}
	for name, tc := range map[string]struct {
		auth          auth.Authenticator
		name          string
		authorization string
		want          int
	}{
		"the token":                     {token, "", "Bearer secret", http.StatusTeapot},
		"the token and an operator":     {token, "ann", "Bearer secret", http.StatusTeapot},
		"the token and somebody":        {token, "eve", "Bearer secret", http.StatusTeapot},
		"an operator":                   {token, "ann", "", http.StatusTeapot},
		"an operator with no token set": {auth.Authenticator{}, "ann", "", http.StatusTeapot},
		"an operator, a wrong token":    {token, "ann", "Bearer public", http.StatusTeapot},
		"somebody":                      {token, "eve", "", http.StatusForbidden},
		"somebody, a wrong token":       {token, "eve", "Bearer public", http.StatusForbidden},
		"nobody":                        {token, "", "", http.StatusUnauthorized},
		"nobody, no token set":          {auth.Authenticator{}, "", "", http.StatusForbidden},
		"the token, but none is set":    {auth.Authenticator{}, "", "Bearer secret", http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			people := auth.NewPeople(behindProxies("ann"), "", log.NewNopLogger())
			guarded := tc.auth.RequireOr(people, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusTeapot)
			}), log.NewNopLogger())
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/-/reload", nil)
			r.RemoteAddr = "10.0.0.1:1"
			r.Header.Set("Authorization", tc.authorization)
			if tc.name != "" {
				r.Header.Set(user, tc.name)
			}
			w := httptest.NewRecorder()
			guarded.ServeHTTP(w, r)
			if w.Code != tc.want {
				t.Errorf("status %d %s, want %d", w.Code, w.Body, tc.want)
			}
		})
	}
}

func TestTheAPIAnswersARefusalWithAnObject(t *testing.T) {
	for path, want := range map[string][2]string{
		"/-/resume":         {"text/plain; charset=utf-8", "it is \"so\"\n"},
		"/apiary":           {"text/plain; charset=utf-8", "it is \"so\"\n"},
		"/api/v1/decisions": {"application/json", `{"error":"it is \"so\""}` + "\n"},
	} {
		w := httptest.NewRecorder()
		auth.Refuse(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil), http.StatusForbidden, `it is "so"`)
		if got := [2]string{w.Header().Get("Content-Type"), w.Body.String()}; w.Code != http.StatusForbidden || got != want {
			t.Errorf("%s: %d %q, want %q", path, w.Code, got, want)
		}
	}
}
