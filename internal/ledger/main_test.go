package ledger_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/common/model"
	"go.uber.org/goleak"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

func TestMain(m *testing.M) {
	if file := os.Getenv(signallerFile); file != "" {
		os.Exit(signalUntilKilled(file))
	}
	if directory := os.Getenv(reopenerDirectory); directory != "" {
		os.Exit(reopenUntilKilled(directory))
	}
	if directory := os.Getenv(askerDirectory); directory != "" {
		os.Exit(askUntilKilled(directory))
	}
	// Some tests limit the length of all files of the process. The log that go
	// test keeps to cache results would run into that limit, so there is none.
	flag.Parse()
	if err := flag.Set("test.testlogfile", ""); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// plenty are limits that no test reaches.
var plenty = ledger.Limits{Actions: 1 << 30, Window: model.Hour, SuspendAfter: 1 << 30, SuspendWindow: model.Hour}

func newFile(t *testing.T) string { return filepath.Join(t.TempDir(), "ledger.jsonl") }

// open opens a ledger and closes it when the test ends.
func open(t *testing.T, file string) (*ledger.Ledger, *logged) {
	t.Helper()
	out := &logged{}
	l, err := ledger.Open(ledger.Config{File: file}, log.NewLogfmtLogger(out), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l, out
}

// reopened closes a ledger and returns what a new process reads from its file.
func reopened(t *testing.T, before *ledger.Ledger, file string) *ledger.Ledger {
	t.Helper()
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	l, _ := open(t, file)
	return l
}

// begin reserves a signal and writes its intent, with limits.
func begin(t *testing.T, l *ledger.Ledger, id string, now time.Time) ledger.Allowance {
	t.Helper()
	allowance, err := beginEntry(t.Context(), l, intent("orders", id, now), limits)
	if err != nil {
		t.Fatal(err)
	}
	return allowance
}

// finish writes the outcome of a signal.
func finish(t *testing.T, l *ledger.Ledger, id string, now time.Time, signalled bool) {
	t.Helper()
	if err := l.Finish(t.Context(), outcome("orders", id, now, signalled)); err != nil {
		t.Fatal(err)
	}
}

// spend begins and finishes a signal that was sent, if the limits allow it.
func spend(t *testing.T, l *ledger.Ledger, id string, now time.Time) ledger.Allowance {
	t.Helper()
	allowance := begin(t, l, id, now)
	if allowance == ledger.Allowed {
		finish(t, l, id, now, true)
	}
	return allowance
}

// refuse writes a refusal. The decision identifies it.
func refuse(t *testing.T, l *ledger.Ledger, decision string) {
	t.Helper()
	if err := l.Append(t.Context(), refusal("orders", decision)); err != nil {
		t.Fatal(err)
	}
}

func intent(server, id string, at time.Time) ledger.Entry {
	return ledger.Entry{Time: at, Event: ledger.EventIntent, ID: id, Decision: "of " + id, Server: server, Target: ledger.Target{PID: 42}, Action: "cancel", Reason: "severity"}
}

func outcome(server, id string, at time.Time, signalled bool) ledger.Entry {
	e := ledger.Entry{Time: at, Event: ledger.EventOutcome, ID: id, Decision: "of " + id, Server: server, Target: ledger.Target{PID: 42}, Action: "cancel", Outcome: ledger.Gone}
	if signalled {
		e.Outcome, e.Signalled = ledger.Cancelled, true
	}
	return e
}

func refusal(server, decision string) ledger.Entry {
	return ledger.Entry{
		Time: noon, Event: ledger.EventOutcome, Decision: decision, Server: server, Target: ledger.Target{PID: 42},
		Action: "cancel", Outcome: ledger.Refused, Reason: "rule",
	}
}

// lines returns the lines of a file. A line that is not a JSON object is nil.
func lines(t *testing.T, file string) []map[string]any {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	for line := range strings.Lines(string(text)) {
		var object map[string]any
		_ = json.Unmarshal([]byte(line), &object)
		all = append(all, object)
	}
	return all
}

// ids returns the IDs of the lines of one event, in order.
func ids(t *testing.T, file string, event ledger.Event) []string {
	t.Helper()
	return column(t, file, event, "id")
}

// decisions returns the decisions of the outcomes, in order.
func decisions(t *testing.T, file string) []string {
	t.Helper()
	return column(t, file, ledger.EventOutcome, "decision")
}

func column(t *testing.T, file string, event ledger.Event, key string) []string {
	t.Helper()
	var all []string
	for _, line := range lines(t, file) {
		if line["event"] == string(event) {
			id, _ := line[key].(string)
			all = append(all, id)
		}
	}
	return all
}

// logged is a log that tests can read while others write.
type logged struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// beginEntry is Begin's answer without the rest, which a file gives no news in.
func beginEntry(ctx context.Context, l *ledger.Ledger, intent ledger.Entry, limits ledger.Limits) (ledger.Allowance, error) {
	begun, err := l.Begin(ctx, intent, limits)
	return begun.Allowance, err
}
