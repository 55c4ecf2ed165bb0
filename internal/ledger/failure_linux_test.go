package ledger_test

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

func TestAFileThatCannotBeSaysWhy(t *testing.T) {
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
		"a directory":                {dir, "open the ledger: open " + dir + ": is a directory"},
		"no such directory":          {filepath.Join(dir, "no", "ledger.jsonl"), "no such file or directory"},
		"below a file":               {filepath.Join(plain, "ledger.jsonl"), "read the ledger: stat " + plain + "/ledger.jsonl: not a directory"},
		"a symbolic link to itself":  {loop, "too many levels of symbolic links"},
		"a name that is too long":    {filepath.Join(dir, strings.Repeat("x", 300)), "file name too long"},
		"a name with a NUL byte":     {dir + "/a\x00b", "invalid argument"},
		"where nobody can make any":  {"/proc/ledger.jsonl", "open the ledger: open /proc/ledger.jsonl: "},
		"a directory with a slash":   {dir + "/", "is a directory"},
		"below where nobody can any": {"/proc/self/no/ledger.jsonl", "no such file or directory"},
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

// A disk that is full: opening works, writing does not. Reading such a device
// back would never end.
func TestAFullDiskIsAnErrorOfTheLine(t *testing.T) {
	link := filepath.Join(t.TempDir(), "ledger.jsonl")
	if err := os.Symlink("/dev/full", link); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"/dev/full", link} {
		l, out := open(t, file)
		if got := l.Take(t.Context(), "orders", "a", limits, noon); got != ledger.Allowed {
			t.Fatalf("Take = %d", got)
		}
		if err := l.Record(t.Context(), intent("orders", "a", noon)); !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), "write the ledger: ") {
			t.Errorf("Record = %v", err)
		}
		if got := l.Recent(10); len(got) != 0 {
			t.Errorf("Recent has what was never written: %v", got)
		}
		if err := l.Resume(t.Context(), "orders", noon); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Resume = %v", err)
		}
		// The suspension holds, though it could not be written down.
		if got := l.Take(t.Context(), "orders", "b", ledger.Limits{}, noon); got != ledger.Suspended || !l.Suspended("orders") {
			t.Errorf("Take without limits = %d", got)
		}
		if !strings.Contains(out.String(), "Writing down the suspension failed") {
			t.Errorf("the log says %q", out)
		}
		if err := l.Resume(t.Context(), "orders", noon); err == nil || !l.Suspended("orders") {
			t.Errorf("resumed without having written it down: %v", err)
		}
	}
}

// A file system fills in the middle of a line, and later has room again: what
// was torn stays alone on its line.
func TestALineThatWasTornStaysAlone(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	record(t, l, intent("orders", "before", noon))
	size := func() uint64 {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		return uint64(info.Size())
	}

	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var room syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &room); err != nil {
		t.Fatal(err)
	}
	for i, left := range []uint64{20, 1, 0, 60} {
		limit := syscall.Rlimit{Cur: size() + left, Max: room.Max}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			t.Fatal(err)
		}
		err := l.Record(t.Context(), intent("orders", "torn", noon))
		again := l.Record(t.Context(), intent("orders", "torn", noon))
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &room); err != nil {
			t.Fatal(err)
		}
		if !errors.Is(err, syscall.EFBIG) || !errors.Is(again, syscall.EFBIG) {
			t.Fatalf("%d: with %d bytes left: Record = %v, %v", i, left, err, again)
		}
		record(t, l, outcome("orders", "after", noon, true))
	}

	if got := ids(t, file, ledger.EventOutcome); !slices.Equal(got, []string{"after", "after", "after", "after"}) {
		t.Errorf("outcomes %v", got)
	}
	if got := ids(t, file, ledger.EventIntent); !slices.Equal(got, []string{"before"}) {
		t.Errorf("intents %v", got)
	}
	if got := reopened(t, l, file).Spent("orders", time.Hour, noon); got != 1 {
		t.Errorf("%d are spent", got)
	}
}
