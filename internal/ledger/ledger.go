package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"
)

// remembered is how many lines are kept for the page and the API.
const remembered = 500

// ErrClosed is returned after Close.
var ErrClosed = errors.New("the ledger is closed")

// Config is "remediation.ledger".
type Config struct {
	// File is where the lines go. Empty: they are kept in memory only, which
	// enforcing does not allow.
	File string `yaml:"file"`
}

// Ledger writes lines and keeps the budgets. Any number of goroutines may use
// it.
type Ledger struct {
	logger log.Logger
	writer *writer // nil: in memory only
	errors prometheus.Counter

	mu      sync.Mutex // guards the rest; no I/O under it
	recent  []Entry    // oldest first, at most remembered
	budgets map[string]*budget
}

// Open reads the file back, if there is one, and opens it for writing. The
// registerer may be nil.
func Open(cfg Config, logger log.Logger, reg prometheus.Registerer) (*Ledger, error) {
	l := &Ledger{
		logger: logger, budgets: map[string]*budget{},
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pgbailiff_ledger_write_errors_total",
			Help: "Lines of the ledger that could not be written.",
		}),
	}
	if reg != nil {
		if err := reg.Register(l.errors); err != nil {
			return nil, fmt.Errorf("register the ledger's metric: %w", err)
		}
	}
	if cfg.File == "" {
		return l, nil
	}
	skipped, err := readBack(cfg.File, l.replay)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	if skipped > 0 {
		level.Warn(logger).Log("msg", "Skipped lines of the ledger that are not whole", "file", cfg.File, "lines", skipped)
	}
	l.writer, err = newWriter(cfg.File)
	if err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	return l, nil
}

// Durable reports whether lines go to a file.
func (l *Ledger) Durable() bool { return l.writer != nil }

// Begin reserves one signal of the server's budget and makes the intent durable,
// by one clock reading, the intent's. Not Allowed: nothing was written and
// nothing is reserved. An error: nothing is reserved, and nothing may be
// signalled.
func (l *Ledger) Begin(ctx context.Context, intent Entry, limits Limits) (Allowance, error) {
	intent.Event = EventIntent
	allowance := l.take(ctx, intent.Server, intent.ID, limits, intent.Time)
	if allowance != Allowed {
		return allowance, nil
	}
	if err := l.record(ctx, intent); err != nil {
		l.giveBack(intent.Server, intent.ID)
		return OverBudget, err
	}
	return Allowed, nil
}

// Finish writes the one outcome of the intent with the same ID. Signalled says
// whether it stays spent.
func (l *Ledger) Finish(ctx context.Context, outcome Entry) error {
	outcome.Event = EventOutcome
	if !outcome.Signalled {
		l.giveBack(outcome.Server, outcome.ID)
	}
	return l.record(ctx, outcome)
}

// Append writes a line behind which there is no signal: a refusal, a dry run,
// a session that is gone.
func (l *Ledger) Append(ctx context.Context, e Entry) error {
	e.Event, e.ID, e.Signalled = EventOutcome, "", false
	return l.record(ctx, e)
}

// record writes one line; it returns when the line is durable, or an error
// when nobody knows whether it is. The context bounds the waiting only.
func (l *Ledger) record(ctx context.Context, e Entry) error {
	e.Time = e.Time.UTC()
	if l.writer != nil {
		var line bytes.Buffer
		encoder := json.NewEncoder(&line)
		encoder.SetEscapeHTML(false) // people grep for SQL
		if err := encoder.Encode(e); err != nil {
			return fmt.Errorf("write the ledger: %w", err)
		}
		if err := l.writer.write(ctx, line.Bytes()); err != nil {
			l.errors.Inc()
			return fmt.Errorf("write the ledger: %w", err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remember(e)
	return nil
}

// Recent returns the last lines, at most n, newest first.
func (l *Ledger) Recent(n int) []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Entry, 0, min(n, len(l.recent)))
	for i := len(l.recent) - 1; i >= 0 && len(out) < n; i-- {
		out = append(out, l.recent[i])
	}
	return out
}

// take spends one signal of a server's budget on the intent with this ID,
// before the signal. A suspension that this brings is written down.
func (l *Ledger) take(ctx context.Context, server, id string, limits Limits, now time.Time) Allowance {
	l.mu.Lock()
	allowance, suspended := l.budget(server).take(id, now, limits)
	l.mu.Unlock()
	if suspended {
		level.Error(l.logger).Log("msg", "Too many signals: suspended until an operator resumes",
			"server", server, "resume", "POST /-/resume?server="+server)
		err := l.record(ctx, Entry{Time: now, Event: EventSuspended, Server: server})
		if err != nil {
			level.Error(l.logger).Log("msg", "Writing down the suspension failed", "server", server, "err", err)
		}
	}
	return allowance
}

// giveBack returns what take spent, for a signal that was not sent.
func (l *Ledger) giveBack(server, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.budget(server).giveBack(id)
}

// Suspended reports whether a server is suspended.
func (l *Ledger) Suspended(server string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.budget(server).suspended
}

// Spent returns how many signals count against the budget of the window.
func (l *Ledger) Spent(server string, window time.Duration, now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.budget(server).count(now.Add(-window))
}

// Resume ends a suspension, once that is written down.
func (l *Ledger) Resume(ctx context.Context, server string, now time.Time) error {
	if err := l.record(ctx, Entry{Time: now, Event: EventResumed, Server: server}); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.budget(server).resume(now)
	return nil
}

// Reopen closes the file and opens the one at the path anew, after a rotation
// or a new configuration. Another file goes on with the budgets as they are. On
// an error the old file stays.
func (l *Ledger) Reopen(ctx context.Context, path string) error {
	if l.writer == nil {
		return nil
	}
	now := time.Now()
	if err := l.writer.reopen(ctx, path, func() []byte { return l.checkpoints(now) }); err != nil {
		return fmt.Errorf("reopen the ledger: %w", err)
	}
	return nil
}

// Close waits for the lines that are being written and closes the file.
func (l *Ledger) Close() error {
	if l.writer == nil {
		return nil
	}
	return l.writer.close()
}

// checkpoints are the lines that another file goes on with.
func (l *Ledger) checkpoints(now time.Time) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines []byte
	for _, server := range slices.Sorted(maps.Keys(l.budgets)) {
		line, err := json.Marshal(l.budgets[server].checkpoint(server, now.UTC()))
		if err != nil {
			level.Error(l.logger).Log("msg", "Carrying the budget over to another file failed", "server", server, "err", err)
			continue
		}
		lines = append(append(lines, line...), '\n')
	}
	return lines
}

// budget needs the lock.
func (l *Ledger) budget(server string) *budget {
	b, ok := l.budgets[server]
	if !ok {
		b = &budget{}
		l.budgets[server] = b
	}
	return b
}

// remember needs the lock.
func (l *Ledger) remember(e Entry) {
	if len(l.recent) == remembered {
		l.recent = append(l.recent[:0], l.recent[1:]...)
	}
	l.recent = append(l.recent, e)
}

// replay takes in a line that was read back, before anybody else is there.
func (l *Ledger) replay(e Entry) {
	l.budget(e.Server).replay(e)
	if e.Event != EventCheckpoint {
		l.remember(e)
	}
}
