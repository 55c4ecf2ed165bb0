package collector

import (
	"slices"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// waitEventTypes returns the types of wait events that a client backend can have.
func waitEventTypes() []string {
	return []string{"BufferPin", "Client", "Extension", "IO", "IPC", "LWLock", session.WaitEventTypeLock, "Timeout"}
}

// byDatabase are the counts of one database.
type byDatabase struct {
	name            string
	states, waiting []count
	max             session.Ages // the largest ages

	prepared session.Prepared
}

// count is how many backends have a value of a label.
type count struct {
	label string
	n     int64
}

// add counts n backends. There are a dozen labels, so that looking at each is
// faster than a map.
func add(counts []count, label string, n int64) []count {
	label = valid(label) // two may become the same
	for i := range counts {
		if counts[i].label == label {
			counts[i].n += n
			return counts
		}
	}
	return append(counts, count{label, n})
}

// counts adds the series of databases. Every database that accepts connections
// has all of them, at zero too, so that no alert rule depends on a series that
// may be missing.
func (c *Collector) counts(snapshot *session.Snapshot, to *series) {
	var databases []*byDatabase
	byName := make(map[string]*byDatabase, len(snapshot.Databases))
	database := func(name string) *byDatabase {
		name = valid(name) // two names may become the same
		db, ok := byName[name]
		if !ok {
			db = &byDatabase{name: name}
			byName[name], databases = db, append(databases, db)
		}
		return db
	}
	states, waits := session.States(), waitEventTypes()
	for _, name := range snapshot.Databases {
		db := database(name)
		db.states = slices.Grow(db.states, len(states)+1)
		db.waiting = slices.Grow(db.waiting, len(waits))
		for _, state := range states {
			db.states = add(db.states, stateLabel(state), 0)
		}
		for _, wait := range waits {
			db.waiting = add(db.waiting, wait, 0)
		}
	}
	for i := range snapshot.Counts {
		c := &snapshot.Counts[i]
		db := database(c.Datname)
		db.states = add(db.states, stateLabel(c.State), c.Backends)
		if c.WaitEventType != "" {
			db.waiting = add(db.waiting, c.WaitEventType, c.Backends)
		}
		for i, age := range c.Max {
			db.max[i] = max(db.max[i], age)
		}
	}
	for _, p := range snapshot.Facts.Prepared {
		db := database(p.Datname)
		db.prepared.Count += p.Count
		db.prepared.Oldest = max(db.prepared.Oldest, p.Oldest)
	}
	for _, db := range databases {
		name := db.name
		for _, state := range db.states {
			to.gauge(c.metrics.backends, float64(state.n), snapshot.Server, name, state.label)
		}
		for _, wait := range db.waiting {
			to.gauge(c.metrics.waiting, float64(wait.n), snapshot.Server, name, wait.label)
		}
		to.gauge(c.metrics.prepared, float64(db.prepared.Count), snapshot.Server, name)
		to.gauge(c.metrics.oldestPrepared, milliseconds(db.prepared.Oldest), snapshot.Server, name)
		for i, maximum := range c.metrics.maxima {
			if maximum != nil {
				to.gauge(maximum, milliseconds(db.max[i]), snapshot.Server, name)
			}
		}
	}
}

func stateLabel(s session.State) string {
	if s == "" {
		return "unknown"
	}
	return string(s)
}
