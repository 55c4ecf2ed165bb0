package app

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/exporter-toolkit/web"

	"github.com/pgbailiff/pgbailiff/internal/auth"
)

// filesApp is an app with servers_files, and what it has logged.
type filesApp struct {
	*app
	dir string
	out logBuffer
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newFilesApp(t *testing.T, files map[string]string) *filesApp {
	t.Helper()
	f := &filesApp{dir: t.TempDir()}
	f.write(t, "pgbailiff.yml", "servers: ["+down+"]\nservers_files: ['*.json']\ncollector: {targets: probe}\n")
	for name, text := range files {
		f.write(t, name, text)
	}
	var err error
	f.app, err = newApp(Options{ConfigFile: filepath.Join(f.dir, "pgbailiff.yml"), Web: &web.FlagConfig{WebConfigFile: new(string)}},
		log.NewLogfmtLogger(&f.out))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.stop)
	return f
}

func (f *filesApp) write(t *testing.T, name, text string) {
	t.Helper()
	write(t, filepath.Join(f.dir, name), text)
}

// errors are the values of pgbailiff_servers_file_errors.
func (f *filesApp) errors(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, family := range families {
		if family.GetName() != "pgbailiff_servers_file_errors" {
			continue
		}
		for _, m := range family.GetMetric() {
			all[filepath.Base(m.GetLabel()[0].GetValue())] = m.GetGauge().GetValue()
		}
	}
	return all
}

// logged is how often the log has said this so far.
func (f *filesApp) logged(says string) int { return strings.Count(f.out.String(), says) }

// one is a list with one server.
func one(name string) string {
	return fmt.Sprintf(`[{"name": %q, "dsn": "postgresql://nobody@127.0.0.1:1/postgres?sslmode=disable"}]`, name)
}

// A file that changes makes a generation, in which all other servers are the ones
// from before. What says the same makes none.
func TestAPollTouchesOnlyWhatHasChanged(t *testing.T) {
	f := newFilesApp(t, map[string]string{"a.json": one("a"), "b.json": one("b")})
	first := f.generations.current.Load()
	f.write(t, "a.json", " "+one("a"))
	f.pollFiles()
	f.pollFiles()
	if f.generations.current.Load() != first {
		t.Error("the same servers made another generation")
	}

	f.write(t, "pgbailiff.yml", "a mistake") // which a poll does not read
	f.write(t, "a.json", one("another"))
	f.write(t, "c.json", one("c"))
	f.pollFiles()
	second := f.generations.current.Load()
	if second.server("down") != first.server("down") || second.server("b") != first.server("b") || second.server("b") == nil {
		t.Error("a server that did not change is another one")
	}
	if second.server("a") != nil || second.server("another") == nil || second.server("c") == nil {
		t.Errorf("servers: %v", second.servers)
	}

	if err := os.Remove(filepath.Join(f.dir, "c.json")); err != nil {
		t.Fatal(err)
	}
	f.pollFiles()
	if third := f.generations.current.Load(); third == second || third.server("c") != nil || third.server("another") != second.server("another") {
		t.Errorf("servers without a file: %v", third.servers)
	}
}

// A mistake is one line in the log, however often the file is looked at, and a
// metric; the servers stay, without a generation.
func TestABadServersFileDisturbsNothing(t *testing.T) {
	f := newFilesApp(t, map[string]string{"a.json": one("a"), "bad.json": "nothing"})
	if diff := cmp.Diff(map[string]float64{"a.json": 0, "bad.json": 1}, f.errors(t)); diff != "" {
		t.Errorf("at the start (-want +got):\n%s", diff)
	}
	const kept = `msg="Keeping the old servers of a file"`
	if f.logged(kept) != 1 {
		t.Errorf("the log at the start:\n%s", &f.out)
	}
	before := f.generations.current.Load()
	f.write(t, "a.json", `[{"nam": "a"}]`)
	for range 3 {
		f.pollFiles()
	}
	if f.generations.current.Load() != before || f.logged(kept) != 2 || f.logged("a.json:1: [0].nam: there is no such key") != 1 {
		t.Errorf("another generation, or the log is wrong:\n%s", &f.out)
	}
	if err := f.reload(t.Context(), ""); err != nil { // at a reload too
		t.Fatal(err)
	}
	if f.generations.current.Load().server("a") != before.server("a") || f.logged(kept) != 2 {
		t.Errorf("another server, or the log is wrong:\n%s", &f.out)
	}
	if diff := cmp.Diff(map[string]float64{"a.json": 1, "bad.json": 1}, f.errors(t)); diff != "" {
		t.Errorf("a mistake (-want +got):\n%s", diff)
	}
	f.write(t, "a.json", one("a"))
	if err := os.Remove(filepath.Join(f.dir, "bad.json")); err != nil {
		t.Fatal(err)
	}
	f.pollFiles()
	if diff := cmp.Diff(map[string]float64{"a.json": 0}, f.errors(t)); diff != "" {
		t.Errorf("without it (-want +got):\n%s", diff)
	}
	if f.generations.current.Load().server("a") != before.server("a") || f.logged(`msg="Read the servers of a file"`) != 2 {
		t.Errorf("another server, or the log is wrong:\n%s", &f.out)
	}
}

// The answer to a reload names each file with a mistake; the rest is loaded.
func TestAReloadNamesTheBadServersFiles(t *testing.T) {
	f := newFilesApp(t, map[string]string{"a.json": one("a"), "bad.json": `[{"nam": "b"}]`, "worse.json": "nothing"})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.reloadOnRequest(ctx, nil, nil)
	}()
	defer func() {
		cancel()
		<-ended
	}()
	f.options.Lifecycle = true
	for i, want := range [][]string{{"bad.json:1: [0].nam: there is no such key", "worse.json"}, nil} {
		if i == 1 {
			f.write(t, "bad.json", one("b"))
			f.write(t, "worse.json", "[]")
		}
		w := httptest.NewRecorder()
		f.reloadHandler(f.generations.current.Load(), auth.Authenticator{}).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/-/reload", nil))
		lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n")
		if w.Code != http.StatusOK || lines[0] != "loaded the configuration" || len(lines) != 1+len(want) {
			t.Fatalf("%d:\n%s", w.Code, w.Body)
		}
		for i, file := range want {
			if line := lines[1+i]; !strings.HasPrefix(line, "kept the old servers of a file: ") || !strings.Contains(line, file) {
				t.Errorf("%q, want something about %s", line, file)
			}
		}
	}
}

// Each tick looks at the files, in the goroutine that reloads.
func TestServersFilesAreLookedAtAgainAndAgain(t *testing.T) {
	f := newFilesApp(t, map[string]string{"a.json": one("a")})
	ctx, cancel := context.WithCancel(t.Context())
	tick, ended := make(chan time.Time), make(chan struct{})
	go func() {
		defer close(ended)
		f.reloadOnRequest(ctx, nil, tick)
	}()
	for _, name := range []string{"b", "c"} {
		f.write(t, "a.json", one(name))
		tick <- time.Now()
		tick <- time.Now() // the first one has been dealt with
		if f.generations.current.Load().server(name) == nil {
			t.Errorf("there is no server %s", name)
		}
	}
	cancel()
	<-ended
}

// A server of a file is probed and discovered as one of the configuration is.
func TestAServerOfAFileIsATarget(t *testing.T) {
	f := newFilesApp(t, nil)
	main, _ := f.routes()
	ask := func(path string) (int, string) {
		w := httptest.NewRecorder()
		main.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}
	if status, _ := ask("/probe?server=a"); status != http.StatusNotFound {
		t.Errorf("before the file: %d", status)
	}
	f.write(t, "a.json", one("a"))
	f.pollFiles()
	if status, body := ask("/probe?server=a"); status != http.StatusOK || !strings.Contains(body, `pgbailiff_up{server="a"} 0`) || strings.Contains(body, "go_") {
		t.Errorf("the probe: %d\n%s", status, body)
	}
	_, targets := ask("/api/v1/targets")
	if strings.Count(targets, `"server":`) != 2 || !strings.Contains(targets, `"__param_server":"a"`) || !strings.Contains(targets, `["example.com"]`) {
		t.Errorf("the targets: %s", targets)
	}
	if _, metrics := ask("/metrics"); strings.Contains(metrics, "pgbailiff_up") || !strings.Contains(metrics, "go_goroutines") {
		t.Errorf("the metrics:\n%s", metrics)
	}
}
