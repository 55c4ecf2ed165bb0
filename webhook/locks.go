package webhook

import (
	"sync"
	"time"
)

// backend is a server and a pid: what only one alert at a time deals with.
// Alertmanager repeats a message that takes long while the first one is still
// being dealt with; the repeat waits, and then finds the target gone.
type backend struct {
	server string
	pid    int32
}

// keyedLocks is a lock for each backend.
type keyedLocks struct {
	mu   sync.Mutex // guards held
	held map[backend]*hold
}

// hold is a lock that is held.
type hold struct {
	locks *keyedLocks
	key   backend
	done  chan struct{} // closed at the release
	sent  chan struct{} // closed when a signal was sent
	once  sync.Once
}

// lasts says that a signal was sent: its effect takes as long as it takes, and
// the server has answered.
func (h *hold) lasts() { h.once.Do(func() { close(h.sent) }) }

func (h *hold) release() {
	h.locks.mu.Lock()
	delete(h.locks.held, h.key)
	h.locks.mu.Unlock()
	close(h.done)
}

// lock waits until nobody holds the lock, until the given time; behind a holder
// that has sent its signal it waits for the end of that, and then has some
// seconds from then. It returns until when its caller has time, and false when
// the time is over.
func (k *keyedLocks) lock(until time.Time, key backend) (_ *hold, _ time.Time, ok bool) {
	for {
		mine, other := k.try(key)
		if mine != nil {
			return mine, until, true
		}
		select {
		case <-other.done:
		case <-time.After(time.Until(until)):
			select {
			case <-other.sent:
				<-other.done
			default:
				return nil, until, false
			}
		}
		select {
		case <-other.sent:
			if fresh := time.Now().Add(decideTimeout / 2); until.Before(fresh) {
				until = fresh
			}
		default:
		}
	}
}

// try returns the lock, or who holds it.
func (k *keyedLocks) try(key backend) (mine, other *hold) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if other, taken := k.held[key]; taken {
		return nil, other
	}
	if k.held == nil {
		k.held = map[backend]*hold{}
	}
	mine = &hold{locks: k, key: key, done: make(chan struct{}), sent: make(chan struct{})}
	k.held[key] = mine
	return mine, nil
}
