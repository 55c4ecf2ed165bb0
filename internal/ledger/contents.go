package ledger

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// countsAtMost is how long a signal may count against a limit: no window is longer.
const countsAtMost = 24 * time.Hour

// Contents are what the lines of a file give, for a ledger that goes on where the
// file ends. Nothing of it is under way: what a crash cut off counts as ended, as
// after the next start.
type Contents struct {
	Lines   int // that were passed on
	Skipped int // that are not whole, such as one that a power cut has torn
	Servers map[string]ServerState
	Spent   []Spent // signals that count against the limits, or may
	Waiting []Entry // asked lines of what nobody has answered yet
	Denied  []Entry // denied lines, without the query, oldest first
}

// ServerState is what holds for one server.
type ServerState struct {
	Suspended bool
	Resumed   time.Time // of the last resumption; zero: never
}

// Spent is a signal that was sent, or may have been.
type Spent struct {
	ID, Server string
	At         time.Time // of its intent
}

// ReadFile reads a file ledger and passes every line to the function, in order,
// and then the outcomes that the next start would write. Checkpoints are no lines.
// The first error of the function ends it. The file is not changed.
func ReadFile(path string, now time.Time, line func(Entry) error) (Contents, error) {
	if info, err := os.Stat(path); err != nil {
		return Contents{}, fmt.Errorf("read the ledger: %w", err)
	} else if !info.Mode().IsRegular() {
		return Contents{}, fmt.Errorf("read the ledger: %s is no regular file", path)
	}
	var c Contents
	var failed error
	pass := func(e Entry) {
		if failed == nil {
			c.Lines++
			failed = line(e)
		}
	}
	l := &Ledger{budgets: map[string]*budget{}, questions: newQuestions()}
	skipped, err := readBack(path, func(r record) {
		l.replay(r)
		if r.Event != eventCheckpoint {
			pass(r.clipped())
		}
	})
	if err != nil {
		return Contents{}, fmt.Errorf("read the ledger: %w", err)
	}
	c.Skipped = skipped
	for _, e := range l.interruptedOutcomes(now.UTC()) {
		pass(e)
	}
	if failed != nil {
		return Contents{}, failed
	}
	c.add(l, now)
	return c, nil
}

// interruptedOutcomes are the outcomes that a crash prevented.
func (l *Ledger) interruptedOutcomes(now time.Time) []Entry {
	var all []Entry
	for _, server := range slices.Sorted(maps.Keys(l.budgets)) {
		all = append(all, l.budgets[server].interrupted(now)...)
	}
	for _, q := range l.questions.sorted(func(q *question) bool { return q.approved != nil }) {
		all = append(all, q.failed(UnactedDetail, now))
	}
	return all
}

// add adds what holds after the last line.
func (c *Contents) add(l *Ledger, now time.Time) {
	c.Servers = map[string]ServerState{}
	for _, server := range slices.Sorted(maps.Keys(l.budgets)) {
		b := l.budgets[server]
		if b.suspended || !b.since.IsZero() {
			c.Servers[server] = ServerState{Suspended: b.suspended, Resumed: b.since}
		}
		for _, id := range slices.Sorted(maps.Keys(b.signals)) {
			s := b.signals[id]
			if !s.spent || !s.at.After(now.Add(-countsAtMost)) {
				continue
			}
			if strings.HasPrefix(id, "-") { // made by restore, for this server only
				id = server + id
			}
			c.Spent = append(c.Spent, Spent{ID: id, Server: server, At: s.at})
		}
	}
	for _, q := range l.questions.sorted((*question).waits) {
		c.Waiting = append(c.Waiting, q.asked)
	}
	c.Denied = slices.Collect(l.questions.denied.all())
}
