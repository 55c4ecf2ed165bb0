package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// startPgbailiff starts the program under test in a directory of the test: this
// test binary under another name, see TestMain.
func startPgbailiff(t testing.TB, dir string, flags ...string) *proctest.Process {
	t.Helper()
	return proctest.Start(t, proctest.Command{Path: proctest.Find(t, "pgbailiff"), Dir: dir, Args: flags})
}

// serve starts pgbailiff with a configuration in a directory of the test and
// returns the URL that it serves.
func serve(t testing.TB, dir, config string) string {
	t.Helper()
	write(t, dir, "pgbailiff.yml", config)
	return proctest.Serve(t, proctest.Command{
		Path: proctest.Find(t, "pgbailiff"), Dir: dir, Args: []string{"--config.file=pgbailiff.yml"},
	}).URL
}

// write makes a file of a test.
func write(t testing.TB, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
