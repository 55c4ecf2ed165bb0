package ledger_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// Lines of a version without decisions.
const (
	whole     = `{"time":"2026-11-22T12:00:00Z","event":"intent","id":"A","server":"orders","pid":42}`
	other     = `{"time":"2026-11-22T12:00:00Z","event":"intent","id":"B","server":"orders","pid":42}`
	withoutID = `{"time":"2026-11-22T12:00:00Z","event":"intent","server":"orders","pid":42}`
)

// A power cut, a full disk or a person can leave anything in the file.
func TestLinesThatAreNotWholeAreSkippedWithAWarning(t *testing.T) {
	for name, tt := range map[string]struct {
		file    string
		spent   int
		warning string
	}{
		"nothing":                     {"", 0, ""},
		"whole lines":                 {whole + "\n" + other + "\n", 2, ""},
		"the same signal again":       {whole + "\n" + whole + "\n", 1, ""},
		"intents without an ID":       {withoutID + "\n" + withoutID + "\n", 2, ""},
		"no line feed at the end":     {whole + "\n" + other, 2, ""},
		"a torn last line":            {whole + "\n" + whole[:30], 1, "lines=1"},
		"a last line of one byte":     {whole + "\n{", 1, "lines=1"},
		"torn in a character":         {whole + "\n" + `{"time":"2026-11-22T12:00:00Z","query":"` + "\xc3", 1, "lines=1"},
		"a torn line in the middle":   {whole[:50] + "\n" + whole + "\n", 1, "lines=1"},
		"broken lines in the middle":  {whole + "\nrubbish\n{\n" + other + "\n", 2, "lines=2"},
		"NUL bytes after a power cut": {whole + "\n" + strings.Repeat("\x00", 4096) + "\n" + other + "\n", 2, "lines=1"},
		"blank lines":                 {"\n\n" + whole + "\n \n\r\n" + other + "\r\n\n", 2, ""},
		"JSON that is no entry":       {"[]\n1\n\"x\"\n{}\n" + `{"event":""}` + "\n" + whole + "\n", 1, "lines=5"},
		"null":                        {"null\n" + whole + "\n", 1, "lines=1"},
		"a time that is none":         {`{"time":"yesterday","event":"intent"}` + "\n" + whole + "\n", 1, "lines=1"},
		"keys of a later version":     {whole[:len(whole)-1] + `,"mood":"grim"}` + "\n", 1, ""},
		"events of a later version":   {`{"time":"2026-11-22T12:00:00Z","event":"pondered","server":"orders"}` + "\n" + whole + "\n", 1, ""},
		"a line of a megabyte":        {whole[:len(whole)-1] + `,"query":"` + strings.Repeat("x", 1<<20) + `"}` + "\n" + other + "\n", 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			file := newFile(t)
			if err := os.WriteFile(file, []byte(tt.file), 0o600); err != nil {
				t.Fatal(err)
			}
			l, out := open(t, file)
			if got := l.Spent("orders", time.Hour, noon.Add(time.Minute)); got != tt.spent {
				t.Errorf("%d signals were spent, want %d", got, tt.spent)
			}
			if got := out.String(); (got == "") != (tt.warning == "") || !strings.Contains(got, tt.warning) {
				t.Errorf("the log says %q, want %q", got, tt.warning)
			}
			// The next line does not join the last one.
			refuse(t, l, "next")
			all := lines(t, file)
			if last := all[len(all)-1]; last["decision"] != "next" {
				t.Errorf("the last line is %v", last)
			}
			again := reopened(t, l, file)
			if got := again.Spent("orders", time.Hour, noon.Add(time.Minute)); got != tt.spent {
				t.Errorf("%d signals were spent at the next start", got)
			}
			if got := again.Recent(1); len(got) != 1 || got[0].Decision != "next" {
				t.Errorf("Recent = %v", got)
			}
		})
	}
}

func TestOpenKeepsTheLinesOfTheFile(t *testing.T) {
	file := newFile(t)
	before := "rubbish\n" + whole + "\n" + whole[:40]
	if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	l, _ := open(t, file)
	refuse(t, l, "next")
	after, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(after), before+"\n{") {
		t.Errorf("the file is %q", after)
	}
	if got := decisions(t, file); !slices.Equal(got, []string{"next"}) {
		t.Errorf("outcomes %v", got)
	}
}
