package cli

import (
	"context"
	"encoding/pem"
	"errors"
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

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"sessions --min-duration=10":         "--min-duration",
		"sessions --min-duration=soon":       "--min-duration",
		"sessions --no-such-flag":            "--no-such-flag",
		"sessions more":                      "more",
		"sessions --output=xml":              "xml",
		"sessions --watch --output=json":     "it does not go with --output=json",
		"sessions --watch":                   "--watch needs a terminal",
		"sessions --url=localhost:10187":     "--url",
		"sessions --url=ftp://localhost":     "--url",
		"sessions --url=http://":             "--url",
		"sessions --config.file=x.yml":       "--config.file is not a flag of sessions",
		"--log.level=debug cancel 1":         "--log.level is not a flag of cancel",
		"approvals --web.config.file=x":      "--web.config.file is not a flag of approvals",
		"approvals deny 1 --web.config.file": "--web.config.file",
		"cancel":                             "pid",
		"cancel 0":                           `"0" is not a process id`,
		"cancel 4711x":                       "4711x",
		"cancel 4294967296":                  "4294967296",
		"cancel 1 2":                         "2",
		"cancel 1 --lift=sync_rep":           "protected_user",
		"terminate 0x10":                     "0x10",
		"approvals approve":                  "id",
		"approvals burn a1":                  "burn",
		"sessions --url=\x1b[2J":             `\x1b`,
	} {
		got := runWith(nil, 0, strings.Split(args, " ")...)
		got.expect(t, 2, "", want)
		if strings.Count(got.err, "\n") != 1 {
			t.Errorf("%q: not one sentence: %s", args, got)
		}
	}
}

// Everything that can stand in the way has one sentence, which says what to do.
func TestObstacles(t *testing.T) {
	t.Parallel()
	page := func(status int, contentType, body string, headers ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			for i := 0; i < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	const html, js = "text/html; charset=utf-8", "application/json"
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"basic auth":     {page(401, "text/plain", "Unauthorized"), "asks for a password (401 Unauthorized): give credentials with --http.config.file"},
		"nobody":         {page(401, js, `{"error":"nobody knows who you are"}`), "does not know who asks (nobody knows who you are): give credentials with --http.config.file"},
		"no operator":    {page(403, js, `{"error":"bob is not one of people.operators"}`), "does not let you do this: bob is not one of people.operators"},
		"proxy forbids":  {page(403, html, "<h1>no"), "does not let you do this (403 Forbidden)"},
		"older":          {page(404, "text/plain", "404 page not found"), "has no such API (404 Not Found): it is an older pgbailiff, or something else"},
		"other method":   {page(405, "text/plain", "Method Not Allowed"), "has no such API (405 Method Not Allowed)"},
		"page":           {page(200, html, "<html>login"), "answered with text/html; charset=utf-8 instead of JSON: give pgbailiff's own address with --url"},
		"redirect":       {page(302, html, "", "Location", "https://user:secret@sso.example/login?token=secret"), "redirects to https://user:xxxxx@sso.example/login: give pgbailiff's own address with --url"},
		"bad gateway":    {page(502, html, "<html>nginx"), "answered 502 Bad Gateway, but not as pgbailiff does: is there a proxy in between?"},
		"broken JSON":    {page(200, js, `{"sessions":[`), "answered with broken JSON"},
		"other JSON":     {page(200, js, `{"sessions":{"a":1}}`), "answered with other JSON than expected"},
		"error sentence": {page(400, js, `{"error":"min_duration is not a duration"}`), "pgbailiff: min_duration is not a duration\n"},
		"error, none":    {page(500, js, `{}`), "pgbailiff: 500 Internal Server Error\n"},
		"cut off":        {page(200, js, `{`, "Content-Length", "100"), "cannot be reached: unexpected EOF"},
	} {
		server := httptest.NewServer(c.handler)
		t.Log(name)
		got := runWith(nil, 0, "sessions", "--url="+server.URL)
		got.expect(t, 1, "", c.want)
		if strings.Count(got.err, "\n") != 1 || strings.Contains(got.err, "secret") {
			t.Errorf("%s: not one sentence, or a secret in it: %s", name, got)
		}
		server.Close()
	}

	runWith(nil, 0, "sessions", fmt.Sprintf("--url=http://me:secret@127.0.0.1:%d", proctest.FreePort(t))).
		expect(t, 1, "", "nobody listens on http://me:xxxxx@127.0.0.1:")
	runWith(nil, 0, "sessions", fmt.Sprintf("--url=http://127.0.0.1:%d", proctest.FreePort(t))).
		expect(t, 1, "", "(connection refused): say where pgbailiff is with --url or PGBAILIFF_URL\n")
	runWith(nil, 0, "sessions", "--url=http://no-such-host.invalid").expect(t, 1, "", "the host of http://no-such-host.invalid is not known")
	runWith(nil, 0, "sessions", "--http.config.file=no-such-file").expect(t, 1, "", "no-such-file: no such file or directory\n")
}

func TestTLSObstacles(t *testing.T) {
	t.Parallel()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	plainly := httptest.NewServer(http.NotFoundHandler())
	defer plainly.Close()
	runWith(nil, 0, "sessions", "--url="+secure.URL).expect(t, 1, "", "is signed by an unknown authority: name its ca_file in the tls_config of --http.config.file\n")
	runWith(nil, 0, "sessions", "--url="+strings.Replace(secure.URL, "https", "http", 1)).expect(t, 1, "", "speaks TLS: use https://\n")
	runWith(nil, 0, "sessions", "--url="+strings.Replace(plainly.URL, "http", "https", 1)).expect(t, 1, "", "does not speak TLS: use http://\n")
}

// An order that was not answered may have been carried out all the same.
func TestUnansweredOrder(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, sessionsReply([]string{aSession()}).body)
	}))
	defer server.Close()
	runWith(nil, 0, "cancel", "4711", "--yes", "--url="+server.URL).expect(t, 1, "", "the order may have been carried out; see the ledger\n")

	c, err := target{url: server.URL}.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for method, want := range map[string]string{
		http.MethodGet: "has not answered in time", http.MethodPost: "has not answered in time: the order may still be carried out; see the ledger",
	} {
		if got := c.unreachable(method, context.DeadlineExceeded).Error(); !strings.HasSuffix(got, want) {
			t.Errorf("%s: %s", method, got)
		}
	}
	refused := c.unreachable(http.MethodPost, &net.OpError{Op: "dial", Err: errors.New("no route to host")}).Error()
	if strings.Contains(refused, "ledger") {
		t.Errorf("an order that was never sent: %s", refused)
	}
}

// The file is the same as promtool's: here with TLS and basic auth, and pgbailiff
// behind the path of a proxy.
func TestHTTPConfigFile(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "ann" || password != "s3cret" || r.URL.Path != "/db/api/v1/sessions" {
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, sessionsReply([]string{aSession()}).body)
	}))
	defer server.Close()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"ca.pem":   string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})),
		"password": "s3cret\n",
		"http.yml": "basic_auth: {username: ann, password_file: password}\ntls_config: {ca_file: ca.pem}\n",
		"bad.yml":  "basic_auth: {user: ann}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := "--http.config.file=" + filepath.Join(dir, "http.yml")
	runWith(nil, 0, "sessions", "--url="+server.URL+"/db/", file).expect(t, 0, "4711", "")
	runWith(nil, 0, "sessions", "--url="+server.URL, file).expect(t, 1, "", "asks for a password")
	got := runWith(nil, 0, "sessions", "--url="+server.URL, "--http.config.file="+filepath.Join(dir, "bad.yml"))
	got.expect(t, 1, "", "bad.yml: ")
	if strings.Count(got.err, "\n") != 1 {
		t.Errorf("not one sentence: %s", got)
	}
}

func TestURLFromTheEnvironment(t *testing.T) {
	f := newFake(t, map[string]reply{getSessions: sessionsReply([]string{aSession()})})
	t.Setenv("PGBAILIFF_URL", f.URL)
	runWith(nil, 0, "sessions").expect(t, 0, "4711", "")
	runWith(nil, 0, "sessions", "--url=nonsense").expect(t, 2, "", "nonsense")
}

// A file, a pipe and /dev/null are no terminals: nobody there can answer.
func TestNoTerminal(t *testing.T) {
	t.Parallel()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, in := range []io.Reader{null, strings.NewReader("y\n")} {
		if con := newConsole(in, io.Discard, io.Discard); con.asks || con.width() != 0 {
			t.Errorf("%T is taken for a terminal", in)
		}
	}
}
