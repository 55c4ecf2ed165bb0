package webhook

import (
	"context"
	"sync"
)

// backend is a server and a pid: what only one alert at a time deals with.
// Alertmanager repeats a message that takes long while the first one is still
// being dealt with; the repeat waits, and then finds the target gone.
type backend struct {
	server string
	pid    int32
}

// keyedLocks is a lock for each backend. A channel in the map is a held lock;
// it is closed at the release.
type keyedLocks struct {
	mu   sync.Mutex // guards held
	held map[backend]chan struct{}
}

// lock waits until nobody holds the lock, or the context ends. The returned
// function releases it.
func (k *keyedLocks) lock(ctx context.Context, key backend) (release func(), err error) {
	for {
		k.mu.Lock()
		other, taken := k.held[key]
		if !taken {
			mine := make(chan struct{})
			if k.held == nil {
				k.held = map[backend]chan struct{}{}
			}
			k.held[key] = mine
			k.mu.Unlock()
			return func() {
				k.mu.Lock()
				delete(k.held, key)
				k.mu.Unlock()
				close(mine)
			}, nil
		}
		k.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
