package app

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// turnTimeout bounds one turn.
const turnTimeout = snapshotTimeout

// turns lets one reading run at a time. It answers everybody who has asked before it
// began; those who ask while it runs share the next one. So nobody gets what was
// read before they asked.
//
// Somebody who waits for the turn carries out the reading, for all. The reading goes
// on when that one stops waiting: the others still do.
type turns[K comparable, V any] struct {
	// read calls tell once for each of the keys, from any goroutine. It returns soon
	// after the context has ended.
	read func(ctx context.Context, keys []K, tell func(K, V))
	turn chan struct{} // holds the one turn while it is taken

	mu      sync.Mutex // guards waiting; nothing is read under it
	waiting map[K]*question[V]
}

// question is what some wait for.
type question[V any] struct {
	answered chan struct{} // closed when answer is there
	answer   V
}

func newTurns[K comparable, V any](read func(context.Context, []K, func(K, V))) turns[K, V] {
	return turns[K, V]{read: read, turn: make(chan struct{}, 1), waiting: map[K]*question[V]{}}
}

// ask returns what a reading that begins now or later says of the key. The error is
// that the context has ended.
func (t *turns[K, V]) ask(ctx context.Context, key K) (V, error) {
	t.mu.Lock()
	q, asked := t.waiting[key]
	if !asked {
		q = &question[V]{answered: make(chan struct{})}
		t.waiting[key] = q
	}
	t.mu.Unlock()
	select {
	case <-q.answered:
	case t.turn <- struct{}{}:
		t.answerAll(ctx)
		<-t.turn
	case <-ctx.Done():
	}
	select { // whoever has the turn has answered, too
	case <-q.answered:
		return q.answer, nil
	default:
		var none V
		return none, context.Cause(ctx)
	}
}

// answerAll reads for all who wait.
func (t *turns[K, V]) answerAll(ctx context.Context) {
	t.mu.Lock()
	all := t.waiting
	t.waiting = map[K]*question[V]{}
	t.mu.Unlock()
	if len(all) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), turnTimeout)
	defer cancel()
	t.read(ctx, slices.Collect(maps.Keys(all)), func(key K, value V) {
		q := all[key]
		q.answer = value
		close(q.answered)
	})
}

const (
	// placesToThink is how many requests of people may think at a time about what was
	// read: what the policy would do, and the page. That takes processor time, and an
	// alert needs some as well.
	placesToThink = 1
	// longThought is when the next one may begin all the same: it may wait for a server.
	longThought = time.Second
)

// thinking are the places.
type thinking chan struct{}

// enter waits for a place, or for the context to end: then there is little left to
// think. The caller calls leave.
func (p thinking) enter(ctx context.Context) (leave func()) {
	select {
	case p <- struct{}{}:
	case <-ctx.Done():
		return func() {}
	}
	free := sync.OnceFunc(func() { <-p })
	timer := time.AfterFunc(longThought, free)
	return func() {
		timer.Stop()
		free()
	}
}

// How many servers are read at a time for one page, and after which time one that
// has not answered holds up no other.
const (
	serversAtATime = 16
	slowServer     = 250 * time.Millisecond
)

// eachServer calls read for each of n servers, some at a time, and returns when all
// have been read.
func eachServer(n int, read func(i int)) {
	places := make(chan struct{}, serversAtATime)
	var all sync.WaitGroup
	for i := range n {
		places <- struct{}{}
		leave := sync.OnceFunc(func() { <-places })
		all.Go(func() {
			defer leave()
			defer time.AfterFunc(slowServer, leave).Stop()
			read(i)
		})
	}
	all.Wait()
}
