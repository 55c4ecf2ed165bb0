package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-kit/log"
	"github.com/prometheus/exporter-toolkit/web"
)

// newTestApp builds an app from a configuration file, which it does not serve.
func newTestApp(t testing.TB, config string) (a *app, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "pgbailiff.yml")
	write(t, file, config)
	a, err := newApp(Options{ConfigFile: file, Web: &web.FlagConfig{WebConfigFile: new(string)}}, log.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	return a, file
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const (
	down    = `{name: down, dsn: "postgresql://nobody@127.0.0.1:1/postgres?sslmode=disable"}`
	another = `{name: another, dsn: "postgresql://nobody@127.0.0.1:1/postgres?sslmode=disable"}`
)

// A reload that loses the race against a stop changes nothing, and the servers
// that it has started are closed: TestMain finds what they would leave behind.
func TestAReloadAfterTheStopIsRefused(t *testing.T) {
	a, file := newTestApp(t, "servers: ["+down+"]")
	before := a.generations.current.Load()
	a.stop()
	write(t, file, "servers: ["+down+", "+another+"]")
	if err := a.reload(t.Context(), ""); !errors.Is(err, errStopping) {
		t.Errorf("the reload: %v, want %v", err, errStopping)
	}
	if a.generations.current.Load() != before {
		t.Error("the reload has swapped the generation")
	}
}

// A server whose configuration stays the same is passed on to the next
// generation. The handlers are new.
func TestAReloadKeepsServersThatDidNotChange(t *testing.T) {
	a, file := newTestApp(t, "servers: ["+down+"]")
	before := a.generations.current.Load()
	write(t, file, "servers: ["+down+", "+another+"]")
	if err := a.reload(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	after := a.generations.current.Load()
	switch {
	case after == before:
		t.Error("the generation is the same")
	case after.server("down") != before.server("down"):
		t.Error("the server is another one")
	case after.server("another") == nil:
		t.Error("the new server is missing")
	}
	a.stop()
}

// A failing reload leaves the current generation in place.
func TestAFailingReloadKeepsTheGeneration(t *testing.T) {
	a, file := newTestApp(t, "servers: ["+down+"]")
	before := a.generations.current.Load()
	for name, config := range map[string]string{
		"a mistake":         "servers: nothing",
		"another address":   "servers: [" + another + "]\nwebhook: {listen_address: '127.0.0.1:0'}",
		"a first ledger":    "servers: [" + another + "]\nremediation: {ledger: {file: ledger.jsonl}}",
		"enforcing for all": "servers: [" + another + "]\nremediation: {mode: enforce, ledger: {file: ledger.jsonl}}",
	} {
		write(t, file, config)
		if err := a.reload(t.Context(), ""); err == nil {
			t.Errorf("%s: no error", name)
		}
		if a.generations.current.Load() != before {
			t.Errorf("%s: the generation was swapped", name)
		}
	}
	a.stop()
}

// A reload does not wait for a caller that has gone away.
func TestARequestForAReloadEndsWithItsContext(t *testing.T) {
	a, _ := newTestApp(t, "servers: ["+down+"]")
	defer a.stop()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.requestReload(ctx, ""); !errors.Is(err, context.Canceled) { // nobody serves the requests
		t.Errorf("requestReload: %v, want %v", err, context.Canceled)
	}
	ctx, cancel = context.WithCancel(t.Context())
	answered := make(chan error, 1)
	go func() {
		_, err := a.requestReload(ctx, "")
		answered <- err
	}()
	<-a.reloads // its turn has come, and the reload hangs
	cancel()
	if err := <-answered; !errors.Is(err, context.Canceled) {
		t.Errorf("requestReload: %v, want %v", err, context.Canceled)
	}
}
