package app

import (
	"sync"
)

// users counts those who use something, until the last one has gone.
type users struct {
	mu   sync.Mutex
	n    int
	left bool          // nobody may enter any more
	idle chan struct{} // closed when nobody may enter and nobody is there
}

func (u *users) enter() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.left {
		return false
	}
	u.n++
	return true
}

func (u *users) exit() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.n--
	if u.left && u.n == 0 {
		close(u.idle)
	}
}

func (u *users) leave() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.left {
		return
	}
	u.left = true
	if u.n == 0 {
		close(u.idle)
	}
}
