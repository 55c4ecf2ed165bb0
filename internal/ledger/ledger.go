package ledger

import (
	"context"
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

// patience is how long Open, Reopen and Close wait for a disk that hangs.
const patience = 5 * time.Second

// errDiskHangs ends that waiting.
var errDiskHangs = fmt.Errorf("the disk did not answer within %s", patience)

// Ledger writes lines and keeps the budgets. Any number of goroutines may use
// it.
type Ledger struct {
	logger log.Logger
	writer *writer // nil: in memory only
	errors prometheus.Counter

	mu      sync.Mutex // guards the rest; no I/O under it
	recent  ring
	budgets map[string]*budget // of servers that were signalled, or are suspended
}

// Open reads the file back, if there is one, opens it for writing, and writes
// down as failed what a crash cut off between intent and outcome. The registerer
// may be nil.
func Open(cfg Config, logger log.Logger, reg prometheus.Registerer) (*Ledger, error) {
	l := &Ledger{
		logger:  logger,
		budgets: map[string]*budget{},
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pgbailiff_ledger_write_errors_total",
			Help: "Lines of the ledger that could not be written when they were due.",
		}),
	}
	if cfg.File != "" {
		skipped, err := readBack(cfg.File, l.replay)
		if err != nil {
			return nil, fmt.Errorf("read the ledger: %w", err)
		}
		if skipped > 0 {
			level.Warn(logger).Log("msg", "Skipped lines of the ledger that are not whole", "file", cfg.File, "lines", skipped)
		}
		file, err := openForAppend(cfg.File)
		if err != nil {
			return nil, fmt.Errorf("open the ledger: %w", err)
		}
		l.writer = newWriter(&appender{file: file, path: cfg.File})
		l.closeCutOff(time.Now())
	}
	if reg != nil {
		if err := reg.Register(l.errors); err != nil {
			return nil, errors.Join(fmt.Errorf("register the ledger's metric: %w", err), l.Close())
		}
	}
	return l, nil
}

// closeCutOff writes the outcomes that a crash prevented.
func (l *Ledger) closeCutOff(now time.Time) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), patience, errDiskHangs)
	defer cancel()
	var all []Entry
	var requests []*request
	for _, server := range slices.Sorted(maps.Keys(l.budgets)) {
		b := l.budgets[server]
		for _, e := range b.unfinished(now.UTC()) {
			l.recent.add(e)
			all, requests = append(all, e), append(requests, l.outcome(b.signals[e.ID], e))
		}
	}
	for i, e := range all {
		level.Warn(l.logger).Log("msg", "pgbailiff stopped between a signal's intent and its outcome",
			"server", e.Server, "pid", e.PID, "id", e.ID)
		_ = l.write(ctx, requests[i], e) // says itself what went wrong
	}
}

// Durable reports whether lines go to a file.
func (l *Ledger) Durable() bool { return l.writer != nil }

// Recent returns the last lines, at most n, newest first. An outcome is among
// them even if it could not be written.
func (l *Ledger) Recent(n int) []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.recent.last(n)
}

// Suspended reports whether a server is suspended.
func (l *Ledger) Suspended(server string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.budgets[clip(server, maxName)]
	return b != nil && b.suspended
}

// Spent returns how many signals count against the budget of the window.
func (l *Ledger) Spent(server string, window time.Duration, now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.budgets[clip(server, maxName)]
	if b == nil {
		return 0
	}
	return b.count(now.Add(-window))
}

// Reopen closes the file and opens the one at the path anew, after a rotation
// or a new configuration. Another file goes on with the budgets as they are. On
// an error the old file stays. It waits no longer than five seconds.
func (l *Ledger) Reopen(ctx context.Context, path string) error {
	if l.writer == nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errDiskHangs)
	defer cancel()
	now := time.Now().UTC()
	err := l.writer.ask(ctx, &request{path: path, header: func() []byte { return l.checkpoints(now) }})
	if err != nil {
		return fmt.Errorf("reopen the ledger: %w", err)
	}
	return nil
}

// Close waits for the lines that are being written and closes the file. It
// waits no longer than five seconds.
func (l *Ledger) Close() error {
	if l.writer == nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), patience, errDiskHangs)
	defer cancel()
	if err := l.writer.close(ctx); err != nil {
		return fmt.Errorf("close the ledger: %w", err)
	}
	return nil
}

// checkpoints are the lines that another file goes on with. The first one makes
// void what that file says already.
func (l *Ledger) checkpoints(now time.Time) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := encode(Entry{Time: now, Event: EventCheckpoint})
	for _, server := range slices.Sorted(maps.Keys(l.budgets)) {
		text = append(text, encode(l.budgets[server].checkpoint(server, now))...)
	}
	return text
}
