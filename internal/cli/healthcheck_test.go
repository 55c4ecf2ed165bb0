package cli

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// alive answers as pgbailiff does, below a path.
func alive(path string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+path+"/-/healthy", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "pgbailiff is healthy.") })
	return mux
}

// secured has a certificate that nobody knows.
func secured(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func TestHealthy(t *testing.T) {
	t.Parallel()
	const healthy = "pgbailiff is healthy\n"
	server := httptest.NewServer(alive(""))
	defer server.Close()
	runWith(nil, 0, "healthcheck", "--url="+server.URL).expect(t, 0, healthy, "")
	below := httptest.NewServer(alive("/db"))
	defer below.Close()
	runWith(nil, 0, "healthcheck", "--url="+below.URL+"/db/").expect(t, 0, healthy, "")

	// The image's HEALTHCHECK has one address, http://localhost:10187, whether the
	// listener has TLS or not.
	tls := secured(t, alive(""))
	runWith(nil, 0, "healthcheck", "--url="+tls.URL).expect(t, 0, healthy, "")
	plainly := strings.Replace(tls.URL, "https", "http", 1)
	runWith(nil, 0, "healthcheck", "--url="+plainly).expect(t, 0, healthy, "")
	// A password is sent to nobody whose certificate is not known.
	runWith(nil, 0, "healthcheck", "--url="+strings.Replace(plainly, "http://", "http://ann:secret@", 1)).expect(t, 1, "", "speaks TLS: use https://\n")
	runWith(nil, 0, "healthcheck", "--url="+strings.Replace(tls.URL, "https://", "https://ann:secret@", 1)).expect(t, 1, "", "unknown authority")
	// Who gives a file decides about the certificate.
	file := filepath.Join(t.TempDir(), "http.yml")
	if err := os.WriteFile(file, []byte("tls_config: {server_name: example.com}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	runWith(nil, 0, "healthcheck", "--url="+tls.URL, "--http.config.file="+file).expect(t, 1, "", "unknown authority")
}

func TestNotHealthy(t *testing.T) {
	t.Parallel()
	status := func(code int) *httptest.Server {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
		t.Cleanup(s.Close)
		return s
	}
	for url, want := range map[string]string{
		fmt.Sprintf("http://127.0.0.1:%d", proctest.FreePort(t)):   "nobody listens on http://127.0.0.1:",
		status(http.StatusServiceUnavailable).URL:                  "answered 503 Service Unavailable",
		status(http.StatusFound).URL:                               "redirects to nowhere",
		status(http.StatusNotFound).URL:                            "404 Not Found",
		status(http.StatusUnauthorized).URL:                        "asks for a password (401 Unauthorized): give credentials with --http.config.file",
		secured(t, http.NotFoundHandler()).URL:                     "404 Not Found",
		strings.Replace(status(200).URL, "http://", "https://", 1): "does not speak TLS",
	} {
		got := runWith(nil, 0, "healthcheck", "--url="+url)
		got.expect(t, 1, "", want)
		if strings.Count(got.err, "\n") != 1 {
			t.Errorf("not one sentence: %s", got)
		}
	}
	runWith(nil, 0, "healthcheck", "--url=localhost").expect(t, 2, "", "is not an address like http://localhost:10187")
	runWith(nil, 0, "healthcheck", "--output=json").expect(t, 2, "", "--output")
	runWith(nil, 0, "healthcheck", "--config.file=x").expect(t, 2, "", "--config.file is not a flag of healthcheck")
}

// A process that hangs accepts the connection and answers nothing.
func TestHealthOfAProcessThatHangs(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a listener of the test's own
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	began := time.Now()
	runWith(nil, 0, "healthcheck", "--url=http://"+listener.Addr().String()).expect(t, 1, "", "has not answered in time")
	if took := time.Since(began); took > readTimeout/2 {
		t.Errorf("a health check took %s", took)
	}
}

func TestWhatIsLocal(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"http://localhost:10187": true, "https://127.0.0.2": true, "http://[::1]:1/x": true,
		"https://db.example.org": false, "https://10.0.0.5": false, "https://localhost.example.org": false,
		"https://ann:secret@localhost": false, "\x00": false,
	} {
		if got := local(address); got != want {
			t.Errorf("%q: %t", address, got)
		}
	}
}
