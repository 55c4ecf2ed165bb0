package pgledger

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

const (
	// copyEvery is how old the copy may become.
	copyEvery = time.Second
	// copySoon is how long after one of our own lines the copy has it, so that many
	// lines cost one reading.
	copySoon = 100 * time.Millisecond
	// copyTimeout is how long one reading may take.
	copyTimeout = 3 * time.Second
	// copyPatience is how long a caller waits for one.
	copyPatience = time.Second
	// copyKnown is how old a copy may be that is still believed to have everything.
	copyKnown = 10 * time.Second
	// maxRecent is how many lines are kept; copy_recent.sql has it as well.
	maxRecent = 500
	// firstWindow is the length of the window of which signals are read until Spent
	// was asked about a longer one.
	firstWindow = time.Minute
)

// mirror is the copy of the ledger in memory, for people. It is read by one
// goroutine.
type mirror struct {
	load func(context.Context, *pgx.Batch) error
	now  chan struct{} // buffered: read it at once
	soon chan struct{} // buffered: read it within copySoon

	mu     sync.Mutex // guards the fields below; no I/O happens under it
	image  image
	widest time.Duration
	read   time.Time // when the image was read; zero: never
	// told are the suspensions that began or ended since the reading under way has
	// begun, which may not show them.
	told map[string]bool
	// next is closed at the end of the first reading that has not begun yet.
	next chan struct{}
}

// image is what one reading gives. Its parts are not changed afterwards.
type image struct {
	lines     []line // oldest first
	waiting   []question
	suspended map[string]bool
	spent     map[string][]time.Time // by our clock
}

// line is a line, and its place among the lines.
type line struct {
	seq   int64
	entry ledger.Entry
}

// question is one that waits.
type question struct {
	id    string
	asked ledger.Entry
}

func newMirror(load func(context.Context, *pgx.Batch) error) *mirror {
	return &mirror{
		load: load, now: make(chan struct{}, 1), soon: make(chan struct{}, 1),
		widest: firstWindow, told: map[string]bool{}, next: make(chan struct{}),
	}
}

// run keeps the copy up to date until the context ends.
func (m *mirror) run(ctx context.Context) {
	ticker := time.NewTicker(copyEvery)
	defer ticker.Stop()
	var due <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.soon:
			if due == nil {
				due = time.After(copySoon)
			}
			continue
		case <-ticker.C:
		case <-due:
		case <-m.now:
		}
		due = nil
		m.refresh(ctx, copyTimeout)
	}
}

// refresh reads once. After an error the copy stays as it is.
func (m *mirror) refresh(ctx context.Context, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	m.mu.Lock()
	before, window, ended := m.image, m.widest, m.next
	m.next = make(chan struct{})
	clear(m.told)
	m.mu.Unlock()
	defer close(ended)

	batch, after := &pgx.Batch{}, reading{before: before}
	after.queue(batch, window)
	if err := m.load(ctx, batch); err != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.Copy(after.image.suspended, m.told)
	m.image, m.read = after.image, time.Now()
}

// catchUp returns when the copy has what was in the ledger at the call, or when
// copyPatience is over.
func (m *mirror) catchUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, copyPatience)
	defer cancel()
	m.mu.Lock()
	ended := m.next
	m.mu.Unlock()
	poke(m.now)
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// wrote says that one of our lines was written.
func (m *mirror) wrote() { poke(m.soon) }

// tell says that a suspension has begun or ended.
func (m *mirror) tell(server string, suspended bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told[server] = suspended
	known := maps.Clone(m.image.suspended)
	if known == nil {
		known = map[string]bool{}
	}
	known[server] = suspended
	m.image.suspended = known
}

func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Known is false while the copy is so old, or was never read, that it may lack what
// other replicas have written.
func (s *Store) Known() bool {
	s.mirror.mu.Lock()
	defer s.mirror.mu.Unlock()
	return time.Since(s.mirror.read) < copyKnown
}

// Approvals is ledger.Ledger's.
func (s *Store) Approvals(now time.Time) []ledger.Entry {
	all := []ledger.Entry{}
	for _, q := range s.mirror.current().waiting {
		if now.Before(q.asked.Until) {
			all = append(all, q.asked)
		}
	}
	return all
}

// Recent is ledger.Ledger's. It has no outcome that could not be written yet.
func (s *Store) Recent(n int) []ledger.Entry {
	lines := s.mirror.current().lines
	all := make([]ledger.Entry, 0, min(n, len(lines)))
	for _, l := range slices.Backward(lines[len(lines)-min(n, len(lines)):]) {
		all = append(all, l.entry)
	}
	return all
}

// Suspended is ledger.Ledger's.
func (s *Store) Suspended(server string) bool { return s.mirror.current().suspended[server] }

// AllSuspended is ledger.Ledger's.
func (s *Store) AllSuspended() []string {
	var all []string
	for server, suspended := range s.mirror.current().suspended {
		if suspended {
			all = append(all, server)
		}
	}
	slices.Sort(all)
	return all
}

// Spent is ledger.Ledger's. It waits once for each window that is longer than all
// before.
func (s *Store) Spent(server string, window time.Duration, now time.Time) int {
	if s.mirror.widen(window) {
		s.mirror.catchUp(context.Background())
	}
	n := 0
	for _, at := range s.mirror.current().spent[server] {
		if at.After(now.Add(-window)) {
			n++
		}
	}
	return n
}

func (m *mirror) current() image {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.image
}

// widen makes the copy have the signals of a window, and reports whether it has not.
func (m *mirror) widen(window time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	wider := window > m.widest
	m.widest = max(m.widest, window)
	return wider
}
