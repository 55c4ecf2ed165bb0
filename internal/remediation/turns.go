package remediation

import (
	"sync"
	"time"
)

// backend is a server and a pid: only one request at a time deals with it.
// Alertmanager repeats a message that takes long while the first one is still
// being dealt with, and people press a button twice. The repeat waits for its turn,
// and then finds the target gone.
type backend struct {
	server string
	pid    int32
}

// turns has one turn for each backend.
type turns struct {
	mu    sync.Mutex // guards taken
	taken map[backend]*turn
}

// turn is the exclusive right to deal with a backend.
type turn struct {
	turns    *turns
	key      backend
	released chan struct{} // closed by release
	sent     chan struct{} // closed by signalSent
	once     sync.Once
}

// signalSent says that a signal was sent. The server has answered, so a repeat
// may wait for the effect however long that takes.
func (t *turn) signalSent() { t.once.Do(func() { close(t.sent) }) }

func (t *turn) release() {
	t.turns.mu.Lock()
	delete(t.turns.taken, t.key)
	t.turns.mu.Unlock()
	close(t.released)
}

// take waits for the turn until the given time. Behind a request that has sent
// its signal it waits for the end of that request, and then has laterTimeout
// from there. It returns the time that the caller has, and false when that is
// over.
func (t *turns) take(until time.Time, key backend) (_ *turn, _ time.Time, ok bool) {
	for {
		mine, other := t.try(key)
		if mine != nil {
			return mine, until, true
		}
		select {
		case <-other.released:
		case <-time.After(time.Until(until)):
			select {
			case <-other.sent:
				<-other.released
			default:
				return nil, until, false
			}
		}
		select {
		case <-other.sent:
			if fresh := time.Now().Add(laterTimeout); until.Before(fresh) {
				until = fresh
			}
		default:
		}
	}
}

// try returns the turn, or the one that is taken.
func (t *turns) try(key backend) (mine, other *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if other, taken := t.taken[key]; taken {
		return nil, other
	}
	if t.taken == nil {
		t.taken = map[backend]*turn{}
	}
	mine = &turn{turns: t, key: key, released: make(chan struct{}), sent: make(chan struct{})}
	t.taken[key] = mine
	return mine, nil
}
