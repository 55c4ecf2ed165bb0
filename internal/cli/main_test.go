package cli

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// reply is what a fake pgbailiff answers to one request.
type reply struct {
	status int
	body   string
}

// fake speaks the contract of the API with fixed answers.
type fake struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string // "GET /path?query" or "POST /path body"
}

// newFake answers each "METHOD /path" with its reply, and everything else with 404.
func newFake(t *testing.T, replies map[string]reply) *fake {
	t.Helper()
	f := &fake{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		f.mu.Lock()
		f.asked = append(f.asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
		f.mu.Unlock()
		answer, ok := replies[r.Method+" "+r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if r.Method == http.MethodPost && r.Header.Get("Content-Type") != "application/json" {
			answer = reply{http.StatusUnsupportedMediaType, `{"error":"send Content-Type: application/json"}`}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(answer.status)
		_, _ = io.WriteString(w, answer.body)
	}))
	t.Cleanup(f.Close)
	return f
}

// orders are the bodies of the POST requests.
func (f *fake) orders() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var bodies []string
	for _, line := range f.asked {
		if rest, is := strings.CutPrefix(line, "POST "); is {
			bodies = append(bodies, rest)
		}
	}
	return bodies
}

// said is how a run of the program has ended.
type said struct {
	status   int
	out, err string
}

func (s said) String() string {
	return fmt.Sprintf("status %d\n-- out\n%s-- err\n%s", s.status, s.out, s.err)
}

// runWith runs the program. A nil answer: standard input is no terminal. Width 0:
// standard output is none.
func runWith(answer *string, width int, args ...string) said {
	var out, err bytes.Buffer
	con := console{
		in: strings.NewReader(""), out: &out, err: &err, asks: answer != nil,
		size: func() (int, int, bool) { return width, 24, width > 0 },
	}
	if answer != nil {
		con.in = strings.NewReader(*answer)
	}
	status := run(args, con)
	return said{status, out.String(), err.String()}
}

// ask runs a client of the fake with nobody at the terminal.
func (f *fake) ask(args ...string) said { return runWith(nil, 0, append(args, "--url="+f.URL)...) }

// expect compares the status, and looks for texts in what was said.
func (s said) expect(t *testing.T, status int, out, err string) {
	t.Helper()
	if s.status != status {
		t.Errorf("the status is not %d: %s", status, s)
	}
	if out == "" && s.out != "" || !strings.Contains(s.out, out) {
		t.Errorf("out is not %q: %s", out, s)
	}
	if err == "" && s.err != "" || !strings.Contains(s.err, err) {
		t.Errorf("err is not %q: %s", err, s)
	}
}

// aSession is a session of the API, with some keys replaced.
func aSession(keys ...string) string {
	object := map[string]string{
		"server": `"orders"`, "pid": "4711", "backend_start": `"2026-11-22T11:05:54.871475Z"`,
		"query_start": `"2026-11-22T11:06:00.000001Z"`, "xact_start": `"2026-11-22T11:05:59.000002Z"`,
		"state_change": `"2026-11-22T11:06:00.000003Z"`,
		"datname":      `"shop"`, "usename": `"ann"`, "application_name": `"report"`, "client_addr": `"10.0.0.5"`,
		"state": `"active"`, "wait_event_type": `""`, "wait_event": `""`, "query_id": `"-7"`, "session_id": `"1.2"`,
		"query_duration_seconds": "7860.5", "transaction_duration_seconds": "7861.9", "idle_in_transaction_duration_seconds": "0",
		"blocked": "3", "blocked_by": "[12, 13]", "query": `"select 1,\n\t2"`, "policy": "{}",
	}
	for _, key := range keys {
		name, value, _ := strings.Cut(key, "=")
		object[name] = value
	}
	var parts []string
	for name, value := range object {
		parts = append(parts, fmt.Sprintf("%q:%s", name, value))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// sessionsReply lists sessions and servers that could not be read.
func sessionsReply(sessions []string, unread ...string) reply {
	var errs []string
	for _, server := range unread {
		errs = append(errs, fmt.Sprintf(`{"server":%q,"error":"it could not be read"}`, server))
	}
	return reply{http.StatusOK, fmt.Sprintf(`{"sessions":[%s],"errors":[%s]}`, strings.Join(sessions, ","), strings.Join(errs, ","))}
}

const (
	getSessions   = "GET /api/v1/sessions"
	postActions   = "POST /api/v1/actions"
	getApprovals  = "GET /api/v1/approvals"
	postApprovals = "POST /api/v1/approvals/a1"

	cancelled = `{"fingerprint":"","server":"orders","pid":4711,"action":"cancel","outcome":"cancelled","reason":"manual","rule":"","by":"ann","detail":"","id":"d1"}`
)
