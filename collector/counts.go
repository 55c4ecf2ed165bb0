package collector

import (
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// waitEventTypes returns the types of wait events that a client backend can have.
func waitEventTypes() []string {
	return []string{"BufferPin", "Client", "Extension", "IO", "IPC", "LWLock", session.WaitEventTypeLock, "Timeout"}
}

// byDatabase are the counts of one database.
type byDatabase struct {
	states  map[session.State]int64
	waiting map[string]int64
	max     session.Ages // the largest ages

	prepared session.Prepared
}

// counts emits the series of databases. Every database that accepts connections
// has all of them, at zero too, so that no alert rule depends on a series that
// may be missing.
func (c *Collector) counts(snapshot *session.Snapshot, emit emitter) {
	databases := map[string]*byDatabase{}
	database := func(name string) *byDatabase {
		name = valid(name) // two names may become the same
		db, ok := databases[name]
		if !ok {
			db = &byDatabase{states: map[session.State]int64{}, waiting: map[string]int64{}}
			databases[name] = db
		}
		return db
	}
	for _, name := range snapshot.Databases {
		db := database(name)
		for _, state := range session.States() {
			db.states[state] = 0
		}
		for _, wait := range waitEventTypes() {
			db.waiting[wait] = 0
		}
	}
	for _, count := range snapshot.Counts {
		db := database(count.Datname)
		db.states[count.State] += count.Backends
		if count.WaitEventType != "" {
			db.waiting[count.WaitEventType] += count.Backends
		}
		for i, age := range count.Max {
			db.max[i] = max(db.max[i], age)
		}
	}
	for _, p := range snapshot.Facts.Prepared {
		db := database(p.Datname)
		db.prepared.Count += p.Count
		db.prepared.Oldest = max(db.prepared.Oldest, p.Oldest)
	}
	for name, db := range databases {
		for state, n := range db.states {
			emit.gauge(c.descs.backends, float64(n), snapshot.Server, name, stateLabel(state))
		}
		for wait, n := range db.waiting {
			emit.gauge(c.descs.waiting, float64(n), snapshot.Server, name, wait)
		}
		emit.gauge(c.descs.prepared, float64(db.prepared.Count), snapshot.Server, name)
		emit.gauge(c.descs.oldestPrepared, milliseconds(db.prepared.Oldest), snapshot.Server, name)
		for i, maximum := range c.descs.maxima {
			if maximum != nil {
				emit.gauge(maximum, milliseconds(db.max[i]), snapshot.Server, name)
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
