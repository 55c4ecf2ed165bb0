package page_test

import (
	"flag"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

var (
	update     = flag.Bool("update", false, "write the golden files")
	screenshot = flag.String("screenshot", "", "write a picture of a page to this file")
	pictured   = flag.String("page", "/", "the path of the page in the picture")
	width      = flag.Int64("width", 1200, "of the picture, in pixels")
	height     = flag.Int64("height", 0, "of the picture, in pixels; 0: the whole page")
	dark       = flag.Bool("dark", false, "take the picture in dark colours")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answer is what a client gets.
type answer struct {
	status int
	header http.Header
	body   string
}

func do(h http.Handler, r *http.Request) answer {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

func get(t testing.TB, h http.Handler, path string) answer {
	t.Helper()
	return do(h, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
}

// post sends a form, as a browser does.
func post(t testing.TB, h http.Handler, path string, form url.Values) answer {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return do(h, r)
}

// render is / as a client gets it.
func render(t testing.TB, w world) string {
	t.Helper()
	got := get(t, handler(w), "/")
	if got.status != http.StatusOK {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	return got.body
}

// golden compares the page, but for its style sheet, with a file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	before, rest, _ := strings.Cut(got, "<style>")
	_, after, _ := strings.Cut(rest, "</style>")
	got = before + "<style></style>" + after
	file = filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("not as in %s (-want +got); -update writes it anew:\n%s", file, diff)
	}
}
