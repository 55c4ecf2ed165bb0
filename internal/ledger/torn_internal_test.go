package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// uncuttable is a file that fails in the middle of a line and cannot be cut.
type uncuttable struct {
	*os.File
	fails bool // set while nobody writes
}

func (f *uncuttable) Write(p []byte) (int, error) {
	if !f.fails {
		return f.File.Write(p)
	}
	n, _ := f.File.Write(p[:len(p)/2])
	return n, errors.New("broken")
}

func (*uncuttable) Truncate(int64) error { return errors.New("broken") }

func TestALineThatCannotBeCutStaysAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.jsonl")
	opened, err := openForAppend(path)
	if err != nil {
		t.Fatal(err)
	}
	file := &uncuttable{File: opened}
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
