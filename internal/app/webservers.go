package app

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// answerPatience is how long a stop waits until clients have read their answers.
const answerPatience = 2 * time.Second

// webServers are the HTTP servers that listen.
type webServers struct {
	servers []*http.Server

	mu       sync.Mutex // guards the rest
	stopping bool
	bodies   map[*http.ResponseController]bool // of requests that may still be arriving
}

// add makes a server. It has no write timeout: an answer may wait for a
// verification.
func (w *webServers) add(h http.Handler) *http.Server {
	server := &http.Server{
		Handler:           w.interruptible(h),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	w.servers = append(w.servers, server)
	return server
}

// interruptible remembers which requests have a body, so that a stop need not
// wait for one that does not arrive.
func (w *webServers) interruptible(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 {
			next.ServeHTTP(rw, r)
			return
		}
		connection := http.NewResponseController(rw)
		w.mu.Lock()
		if w.bodies == nil {
			w.bodies = map[*http.ResponseController]bool{}
		}
		w.bodies[connection] = true
		if w.stopping {
			interrupt(connection)
		}
		w.mu.Unlock()
		defer func() { // the connection must not be touched when the handler has returned
			w.mu.Lock()
			defer w.mu.Unlock()
			delete(w.bodies, connection)
		}()
		next.ServeHTTP(rw, r)
	})
}

// interrupt ends reading from a client; the answer can still be written.
func interrupt(connection *http.ResponseController) {
	_ = connection.SetReadDeadline(time.Unix(1, 0)) // where it cannot be set, the server is closed later
}

// stopListening accepts no new connections, and stops reading bodies. Each
// server reports into the result when its requests have been answered.
func (w *webServers) stopListening(ctx context.Context) <-chan error {
	answered := make(chan error, len(w.servers))
	for _, server := range w.servers {
		go func() { answered <- server.Shutdown(ctx) }()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopping = true
	for connection := range w.bodies {
		interrupt(connection)
	}
	return answered
}

// close waits for the last answers, and closes the connections that are left.
func (w *webServers) close(answered <-chan error) error {
	patience := time.NewTimer(answerPatience)
	defer patience.Stop()
	var errs []error
	for range w.servers {
		select {
		case err := <-answered:
			errs = append(errs, err)
		case <-patience.C:
			for _, server := range w.servers {
				_ = server.Close() // the error is about connections that are given up anyway
			}
			return errors.Join(append(errs, errors.New("a client did not take its answer, or did not send its request"))...)
		}
	}
	return errors.Join(errs...)
}
