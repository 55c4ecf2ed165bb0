package page_test

import (
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
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

func request(t *testing.T, h http.Handler, method, path string) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	r.Host = "pgbailiff.example:10187"
	h.ServeHTTP(w, r)
	return w.Result()
}

// render is the page as a client gets it.
func render(t *testing.T, d world) string {
	t.Helper()
	resp := request(t, handler(d), http.MethodGet, "/")
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %s", resp.StatusCode, body)
	}
	return string(body)
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
