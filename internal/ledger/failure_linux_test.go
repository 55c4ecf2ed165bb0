package ledger_test

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

func TestOpenSaysWhyAFileCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ file, says string }{
		"a directory":                       {dir, "open the ledger: open " + dir + ": is a directory"},
		"no such directory":                 {filepath.Join(dir, "no", "ledger.jsonl"), "no such file or directory"},
		"below a file":                      {filepath.Join(plain, "ledger.jsonl"), "read the ledger: stat " + plain + "/ledger.jsonl: not a directory"},
		"a symbolic link to itself":         {loop, "too many levels of symbolic links"},
		"a name that is too long":           {filepath.Join(dir, strings.Repeat("x", 300)), "file name too long"},
		"a name with a NUL byte":            {dir + "/a\x00b", "invalid argument"},
		"where no file can be created":      {"/proc/ledger.jsonl", "open the ledger: open /proc/ledger.jsonl: "},
		"a directory with a slash":          {dir + "/", "is a directory"},
		"where no directory can be created": {"/proc/self/no/ledger.jsonl", "no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := ledger.Open(ledger.Config{File: tt.file}, log.NewNopLogger(), nil)
			if err == nil {
				t.Fatalf("opened, and closed: %v", l.Close())
			}
			if !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("the error is %q, want %q", err, tt.says)
			}
		})
	}
}

// On a full disk opening works and writing does not. Open does not read a device
// back, because that would never end.
func TestAFullDiskFailsTheWriteNotOpen(t *testing.T) {
	link := filepath.Join(t.TempDir(), "ledger.jsonl")
	if err := os.Symlink("/dev/full", link); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"/dev/full", link} {
		l, _ := open(t, file)
		got, err := beginEntry(t.Context(), l, intent("orders", "a", noon), limits)
		if got == ledger.Allowed || !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), "write the ledger: ") {
			t.Errorf("Begin = %d, %v", got, err)
		}
		if got := l.Spent("orders", time.Hour, noon); got != 0 {
			t.Errorf("%d are spent on an intent that could not be written", got)
		}
		if got := l.Recent(10); len(got) != 0 {
			t.Errorf("Recent has an intent that was never written: %v", got)
		}
		if err := l.Resume(t.Context(), "orders", "", noon); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Resume = %v", err)
		}
	}
}

// The disk is full in the middle of a line and has room later. The torn line is
// truncated, and the next one is whole.
func TestATornLineIsTruncated(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	spend(t, l, "before", noon)
	for i, left := range []uint64{20, 1, 0, 60} {
		restore := leave(t, file, left)
		err := l.Append(t.Context(), refusal("orders", "torn"))
		_, again := beginEntry(t.Context(), l, intent("orders", "torn", noon), plenty)
		restore()
		if !errors.Is(err, syscall.EFBIG) || !errors.Is(again, syscall.EFBIG) {
			t.Fatalf("%d: with %d bytes left: %v, %v", i, left, err, again)
		}
		refuse(t, l, "after")
	}

	if got := decisions(t, file); !slices.Equal(got, []string{"of before", "after", "after", "after", "after"}) {
		t.Errorf("outcomes %v", got)
	}
	if got := ids(t, file, ledger.EventIntent); !slices.Equal(got, []string{"before"}) {
		t.Errorf("intents %v", got)
	}
	if got := reopened(t, l, file).Spent("orders", time.Hour, noon); got != 1 {
		t.Errorf("%d are spent", got)
	}
}

// leave lets the file grow by that many bytes, until restore is called. The limit
// on the length holds for all files of the process.
func leave(t *testing.T, file string, bytes uint64) (restore func()) {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return limitFiles(t, uint64(info.Size())+bytes)
}

// noRoom makes every write to a file fail, until restore is called.
func noRoom(t *testing.T) (restore func()) { return limitFiles(t, 0) }

func limitFiles(t *testing.T, size uint64) (restore func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var room syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &room); err != nil {
		t.Fatal(err)
	}
	limit := syscall.Rlimit{Cur: size, Max: room.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	restore = sync.OnceFunc(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &room); err != nil {
			t.Error(err)
		}
		signal.Reset(syscall.SIGXFSZ)
	})
	t.Cleanup(restore)
	return restore
}
