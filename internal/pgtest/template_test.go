package pgtest

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Concurrent test binaries make the template once, also after an interrupted
// run has left a partial one.
func TestTemplateIsMadeOnce(t *testing.T) {
	in, err := findInstallation(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir, lock, err := makeDir(in) // t.TempDir is closed to the servers' user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
		lock.Close()
	})
	in.cache = filepath.Join(dir, "cache")
	if err := os.Mkdir(in.cache, 0o755); err != nil {
		t.Fatal(err)
	}
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	if dir, err := in.template(interrupted); err == nil {
		t.Errorf("interrupted, and there is %s", dir)
	}
	if err := os.WriteFile(filepath.Join(in.cache, "partial-1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}

	dirs := make([]string, 4)
	var all sync.WaitGroup
	for i := range dirs {
		all.Go(func() {
			var err error
			if dirs[i], err = in.template(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	there, err := os.ReadDir(in.cache)
	if err != nil || len(there) != 2 { // the lock too
		t.Errorf("%v, %v", there, err)
	}
	for _, dir := range dirs {
		if dir != dirs[0] {
			t.Errorf("%s and %s", dir, dirs[0])
		}
	}
}
