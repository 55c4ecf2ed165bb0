package ledger

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/common/model"
)

// hangingFile is a file whose fsync blocks while it hangs.
type hangingFile struct {
	*os.File
	mu    sync.Mutex // guards hangs
	hangs chan struct{}
}

func (f *hangingFile) Sync() error {
	f.mu.Lock()
	hangs := f.hangs
	f.mu.Unlock()
	if hangs != nil {
		<-hangs
	}
	return f.File.Sync()
}

// hang makes every fsync block until wake is called.
func (f *hangingFile) hang() (wake func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	hangs := make(chan struct{})
	f.hangs = hangs
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.hangs = nil
		close(hangs)
	}
}

// answer lets one blocked fsync return.
func (f *hangingFile) answer() {
	f.mu.Lock()
	hangs := f.hangs
	f.mu.Unlock()
	hangs <- struct{}{}
}

// onDisk returns a ledger that writes to a hangingFile. The caller closes it.
func onDisk(t *testing.T) (*Ledger, *hangingFile, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.jsonl")
	file, err := openForAppend(path)
	if err != nil {
		t.Fatal(err)
	}
	disk := &hangingFile{File: file}
	l := &Ledger{
		logger: log.NewNopLogger(), budgets: map[string]*budget{}, questions: newQuestions(),
		metrics: NewMetrics(nil),
		writer:  newWriter(&appender{file: disk, path: path}),
	}
	return l, disk, path
}

// events returns event, ID and outcome of every line of a file.
func events(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(text)) {
		var e Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.Join(strings.Fields(string(e.Event)+" "+e.ID+" "+string(e.Outcome)), " "))
	}
	return strings.Join(all, ", ")
}

var plenty = Limits{Actions: 1000, Window: model.Hour, SuspendAfter: 1000, SuspendWindow: model.Hour}

func signalled(id string) Entry {
	return Entry{Time: noon, Server: "orders", ID: id, Outcome: Terminated, Signalled: true}
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
