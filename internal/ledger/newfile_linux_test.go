package ledger_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// A new file gets its name when its header is durable. If the header cannot be
// written, there is no file, because an empty one would reset the budgets.
func TestANewFileWithoutItsHeaderDoesNotExist(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	spend(t, l, "a", noon)
	other := file + ".other"
	restore := noRoom(t)
	if err := l.Reopen(t.Context(), other); err == nil {
		t.Error("reopened without room")
	}
	restore()
	names, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*"))
	if err != nil || !slices.Equal(names, []string{file}) {
		t.Errorf("files %v, %v", names, err)
	}
	// The ledger still writes to the old file.
	spend(t, l, "b", noon)
	if got := reopened(t, l, file).Spent("orders", time.Hour, noon.Add(time.Second)); got != 2 {
		t.Errorf("%d are spent", got)
	}
}

func TestReopenWithEachKindOfFileAtThePath(t *testing.T) {
	begins := func(t *testing.T, file string) {
		t.Helper()
		all := lines(t, file)
		for i, line := range all[:2] {
			if line["event"] != "checkpoint" {
				t.Errorf("line %d is %v", i, line)
			}
		}
	}
	for name, tt := range map[string]struct {
		make  func(t *testing.T, file string) error
		check func(t *testing.T, file string)
	}{
		"nothing": {func(*testing.T, string) error { return nil }, begins},
		"an empty file that others may read": {
			func(_ *testing.T, file string) error {
				return errors.Join(os.WriteFile(file, nil, 0o600), os.Chmod(file, 0o644))
			},
			func(t *testing.T, file string) {
				begins(t, file)
				if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o644 {
					t.Errorf("its mode is %v, %v", info.Mode(), err)
				}
			},
		},
		"what a crash left of a new file": {
			func(_ *testing.T, file string) error { return os.WriteFile(file+".new", []byte("half a li"), 0o600) },
			func(t *testing.T, file string) {
				begins(t, file)
				if _, err := os.Stat(file + ".new"); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("it is still there: %v", err)
				}
			},
		},
		"a symbolic link to an empty file": {
			func(_ *testing.T, file string) error {
				return errors.Join(os.WriteFile(file+".target", nil, 0o600), os.Symlink(file+".target", file))
			},
			func(t *testing.T, file string) {
				begins(t, file+".target")
				if info, err := os.Lstat(file); err != nil || info.Mode()&os.ModeSymlink == 0 {
					t.Errorf("the link is now %v, %v", info, err)
				}
			},
		},
		"a symbolic link to nothing": {
			func(_ *testing.T, file string) error { return os.Symlink(file+".target", file) },
			func(t *testing.T, file string) { begins(t, file+".target") },
		},
		"a file with lines, one torn": {
			func(_ *testing.T, file string) error {
				return os.WriteFile(file, []byte(whole+"\n"+`{"time":`), 0o600)
			},
			func(t *testing.T, file string) {
				all := lines(t, file)
				if all[0]["id"] != "A" || all[1] != nil || all[2]["event"] != "checkpoint" {
					t.Errorf("the file is %v", all)
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := newFile(t)
			l, _ := open(t, file)
			spend(t, l, "a", noon)
			spend(t, l, "b", noon)
			next := file + ".next"
			if err := tt.make(t, next); err != nil {
				t.Fatal(err)
			}
			if err := l.Reopen(t.Context(), next); err != nil {
				t.Fatal(err)
			}
			spend(t, l, "c", noon)
			tt.check(t, next)
			if got := ids(t, next, ledger.EventIntent); !slices.Equal(got[len(got)-1:], []string{"c"}) {
				t.Errorf("intents %v", got)
			}
			if got := reopened(t, l, next).Spent("orders", time.Hour, noon.Add(time.Second)); got != 3 {
				t.Errorf("%d are spent", got)
			}
		})
	}
}

// The lines that the other file has already do not count.
func TestAnOldLedgerAtTheNewPathIsVoid(t *testing.T) {
	file := newFile(t)
	old, _ := open(t, file+".old")
	suspendServer(t, old, "stock")
	begin(t, old, "interrupted long ago", noon)
	ask(t, old, question("orders", "asked long ago", noon), ledger.Waiting)
	ask(t, old, question("stock", "denied long ago", noon), ledger.Waiting)
	answer(t, old, "denied long ago", ledger.EventDenied, noon)
	l, _ := open(t, file)
	spend(t, l, "a", noon)
	if err := l.Reopen(t.Context(), file+".old"); err != nil {
		t.Fatal(err)
	}
	l = reopened(t, l, file+".old")
	if l.Suspended("stock") || l.Spent("stock", time.Hour, noon) != 0 || l.Spent("orders", time.Hour, noon.Add(time.Second)) != 1 {
		t.Errorf("stock is suspended: %t", l.Suspended("stock"))
	}
	if got := waiting(l, noon); got != "" {
		t.Errorf("%s waits", got)
	}
	ask(t, l, question("stock", "now", noon), ledger.Waiting)
}
