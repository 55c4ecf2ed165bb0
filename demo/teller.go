package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// narrator is the name on the demo's own lines.
const narrator = "demo"

// hold is how long a line is held back, because an earlier event may be seen later: Prometheus is
// asked for its alerts four times a second only.
const hold = 600 * time.Millisecond

// teller prints what happens as lines of time, who and what, in the order of the events' own times.
type teller struct {
	out    io.Writer
	colour bool
	began  time.Time

	mu    sync.Mutex // guards what follows
	lines []line
}

type line struct {
	at   time.Time
	who  string // empty: text without a time
	text string
}

func newTeller(out *os.File, began time.Time) *teller {
	return &teller{out: out, colour: wantsColour(out), began: began}
}

// wantsColour is true for a terminal whose user has not said NO_COLOR.
func wantsColour(out *os.File) bool {
	if _, refused := os.LookupEnv("NO_COLOR"); refused || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := out.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// now tells of something that has just happened.
func (t *teller) now(who, format string, args ...any) {
	t.at(time.Now(), who, format, args...)
}

// at tells of something that happened, or will have happened, at the given time.
func (t *teller) at(when time.Time, who, format string, args ...any) {
	t.add(line{at: when, who: who, text: fmt.Sprintf(format, args...)})
}

// title begins a part of the story.
func (t *teller) title(format string, args ...any) {
	t.plain("\n%s", t.paint(bold, fmt.Sprintf(format, args...)))
}

// plain prints text without a time, after the lines so far.
func (t *teller) plain(format string, args ...any) {
	t.add(line{at: time.Now(), text: fmt.Sprintf(format, args...)})
}

func (t *teller) add(l line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, l)
}

// run prints lines as they become due, until ctx ends.
func (t *teller) run(ctx context.Context) error {
	return every(50*time.Millisecond, func(context.Context) error {
		return t.print(time.Now().Add(-hold))
	})(ctx)
}

// print prints the lines of events that happened before the given time. Only run calls it, and
// main after run has ended.
func (t *teller) print(before time.Time) error {
	var text strings.Builder
	for _, l := range t.take(before) {
		text.WriteString(t.format(l))
	}
	_, err := io.WriteString(t.out, text.String())
	return err
}

// take removes and returns the lines that are due, in the order of their events.
func (t *teller) take(before time.Time) []line {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.SortStableFunc(t.lines, func(a, b line) int { return a.at.Compare(b.at) })
	due := 0
	for due < len(t.lines) && t.lines[due].at.Before(before) {
		due++
	}
	taken := slices.Clone(t.lines[:due])
	t.lines = slices.Delete(t.lines, 0, due)
	return taken
}

func (t *teller) format(l line) string {
	if l.who == "" {
		return l.text + "\n"
	}
	return fmt.Sprintf("%7.1f s  %s %s\n",
		l.at.Sub(t.began).Seconds(), t.paint(colourOf(l.who), fmt.Sprintf("%-12s", l.who)), l.text)
}

// The escape sequences of the few styles in use.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func colourOf(who string) string {
	switch who {
	case narrator:
		return dim
	case "Prometheus":
		return yellow
	case "pgbailiff":
		return red
	default:
		return cyan
	}
}

func (t *teller) paint(style, text string) string {
	if !t.colour {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}
