package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// untruncatable is a file that fails in the middle of a line and cannot be
// truncated.
type untruncatable struct {
	*os.File
	fails bool // set between writes
}

func (f *untruncatable) Write(p []byte) (int, error) {
	if !f.fails {
		return f.File.Write(p)
	}
	n, _ := f.File.Write(p[:len(p)/2])
	return n, errors.New("broken")
}

func (*untruncatable) Truncate(int64) error { return errors.New("broken") }

func TestTheNextLineDoesNotJoinATornOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.jsonl")
	opened, err := openForAppend(path)
	if err != nil {
		t.Fatal(err)
	}
	file := &untruncatable{File: opened}
	a := &appender{file: file, path: path}
	for _, fails := range []bool{false, true, true, false} {
		file.fails = fails
		if err := a.write([]byte(`{"event":"outcome"}` + "\n")); (err != nil) != fails {
			t.Fatal(err)
		}
	}
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	n := 0
	if _, err := readBack(path, func(record) { n++ }); err != nil || n != 2 {
		t.Errorf("%d lines are whole, %v", n, err)
	}
}
