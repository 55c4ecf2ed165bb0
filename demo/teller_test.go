package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestLinesAreSortedByTime(t *testing.T) {
	began := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	second := func(n float64) time.Time { return began.Add(time.Duration(n * float64(time.Second))) }
	var out strings.Builder
	tell := &teller{out: &out, began: began}
	tell.at(second(4), "reports", "its query is %d s old", 4)
	tell.at(second(1.25), "reports", "runs something")
	tell.at(second(3), "pgbailiff", "first of two")
	tell.at(second(3), "reports", "second of two")
	tell.at(second(2), "Prometheus", "fires")

	if err := tell.print(second(4)); err != nil {
		t.Fatal(err)
	}
	want := `    1.2 s  reports      runs something
    2.0 s  Prometheus   fires
    3.0 s  pgbailiff    first of two
    3.0 s  reports      second of two
`
	if out.String() != want {
		t.Errorf("printed\n%swant\n%s", out.String(), want)
	}
	out.Reset()
	if err := tell.print(second(5)); err != nil {
		t.Fatal(err)
	}
	if want := "    4.0 s  reports      its query is 4 s old\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
}

func TestColour(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if wantsColour(file) {
		t.Error("a file gets colours")
	}
	terminal, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0) // a character device, as a terminal is
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	if wantsColour(terminal) {
		t.Error("NO_COLOR is set, and a terminal gets colours")
	}
	os.Unsetenv("NO_COLOR") // Setenv restores it
	if !wantsColour(terminal) {
		t.Error("a terminal gets no colours")
	}
}
