package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/pgbailiff/pgbailiff/internal/auth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func is(name string, operator bool) func(*http.Request) auth.Person {
	return func(*http.Request) auth.Person { return auth.Person{Name: name, Operator: operator} }
}

// get asks a handler, and returns the status and the body.
func get(ctx context.Context, h http.Handler, path string) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil))
	return w.Code, kindOf(w) + w.Body.String()
}

// post sends a body to a handler behind the pattern.
func post(t *testing.T, h http.Handler, pattern, path, contentType, body string) (int, string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("POST "+pattern, h)
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	mux.ServeHTTP(w, r)
	return w.Code, kindOf(w) + w.Body.String()
}

// kindOf is the type of an answer that is not JSON.
func kindOf(w *httptest.ResponseRecorder) string {
	if kind := w.Header().Get("Content-Type"); kind != "application/json" {
		return kind + ": "
	}
	return ""
}

const jsonType = "application/json"

// told is the body of an answer that is a sentence.
func told(sentence string) string {
	return `{"error":"` + strings.ReplaceAll(sentence, `"`, `\"`) + "\"}\n"
}

// unread fails the test when it is read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, nil
}
