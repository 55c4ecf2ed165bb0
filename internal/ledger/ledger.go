package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"
)

// diskTimeout is how long Open, Reopen and Close wait for a disk that hangs.
const diskTimeout = 5 * time.Second

// errDiskHangs is the cause when diskTimeout has passed.
var errDiskHangs = fmt.Errorf("the disk did not answer within %s", diskTimeout)

// Ledger writes entries to a file and keeps the budgets of the servers. It is
// safe for concurrent use.
type Ledger struct {
	logger  log.Logger
	writer  *writer // nil without a file
	metrics *Metrics

	mu        sync.Mutex // guards the fields below; no I/O happens under it
	recent    ring
	budgets   map[string]*budget // of the servers that had a signal or are suspended
	questions *questions
}

// Open reads the file back, if there is one, opens it for writing, and writes
// the outcomes that a crash prevented, as failed. The registerer may be nil.
func Open(cfg Config, logger log.Logger, reg prometheus.Registerer) (*Ledger, error) {
	l := &Ledger{
		logger:    logger,
		budgets:   map[string]*budget{},
		questions: newQuestions(),
		metrics:   NewMetrics(reg),
	}
	l.metrics.Up.Set(1)
	if cfg.File != "" {
		skipped, err := readBack(cfg.File, l.replay)
		if err != nil {
			return nil, fmt.Errorf("read the ledger: %w", err)
		}
		if skipped > 0 {
			level.Warn(logger).Log("msg", "Skipped ledger lines that are not whole", "file", cfg.File, "lines", skipped)
		}
		file, err := openForAppend(cfg.File)
		if err != nil {
			return nil, fmt.Errorf("open the ledger: %w", err)
		}
		l.writer = newWriter(&appender{file: file, path: cfg.File})
		l.finishInterrupted(time.Now())
	}
	return l, nil
}

// finishInterrupted writes the outcomes that a crash prevented. Write logs its
// errors.
func (l *Ledger) finishInterrupted(now time.Time) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), diskTimeout, errDiskHangs)
	defer cancel()
	var all []Entry
	var requests []*request
	for _, server := range slices.Sorted(maps.Keys(l.budgets)) {
		b := l.budgets[server]
		for _, e := range b.interrupted(now.UTC()) {
			l.recent.add(e)
			all, requests = append(all, e), append(requests, l.outcomeRequest(b.signals[e.ID], e))
		}
	}
	for _, q := range l.questions.sorted(func(q *question) bool { return q.approved != nil }) {
		e := q.failed(UnactedDetail, now)
		all, requests = append(all, e), append(requests, l.endRequest([]*question{q}, []Entry{e}))
	}
	for i, e := range all {
		what := "Recorded an interrupted signal as failed"
		if !e.Signalled {
			what = "Recorded an approval that nothing came of as failed"
		}
		level.Warn(l.logger).Log("msg", what, "server", e.Server, "pid", e.PID, "id", e.ID, "decision", e.Decision)
		_ = l.write(ctx, requests[i], e)
	}
}

// Up reports whether the last line could be written.
func (l *Ledger) Up() bool { return l.metrics.IsUp() }

// Known is always true: nobody else writes lines.
func (l *Ledger) Known() bool { return true }

// Recent returns at most n of the last entries, newest first. Outcomes that
// could not be written are among them.
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

// AllSuspended returns the servers that are suspended, sorted.
func (l *Ledger) AllSuspended() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for server, b := range l.budgets {
		if b.suspended {
			all = append(all, server)
		}
	}
	slices.Sort(all)
	return all
}

// Spent returns how many signals count against the budget of the window.
func (l *Ledger) Spent(server string, window time.Duration, now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.budgets[clip(server, maxName)]
	if b == nil {
		return 0
	}
	return b.spentAfter(now.Add(-window))
}

// Reopen closes the file and opens the one at the path, after a rotation or a
// reload. A new file begins with checkpoints of the budgets and of the questions.
// After an error the
// ledger keeps the old file. Reopen waits at most five seconds.
func (l *Ledger) Reopen(ctx context.Context, path string) error {
	if l.writer == nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, diskTimeout, errDiskHangs)
	defer cancel()
	now := time.Now().UTC()
	err := l.writer.do(ctx, &request{path: path, header: func() []byte { return l.checkpoints(now) }})
	if err != nil {
		return fmt.Errorf("reopen the ledger: %w", err)
	}
	return nil
}

// Close writes what is queued and closes the file. It waits at most five
// seconds.
func (l *Ledger) Close() error {
	if l.writer == nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), diskTimeout, errDiskHangs)
	defer cancel()
	if err := l.writer.close(ctx); err != nil {
		return fmt.Errorf("close the ledger: %w", err)
	}
	return nil
}

// checkpoints are the first lines of a new file.
func (l *Ledger) checkpoints(now time.Time) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := encode(record{Entry: Entry{Time: now, Event: eventCheckpoint}})
	for r := range l.questions.save(now) {
		text = append(text, encode(r)...)
	}
	for _, server := range slices.Sorted(maps.Keys(l.budgets)) {
		text = append(text, encode(checkpoint(server, l.budgets[server], now))...)
	}
	return text
}
