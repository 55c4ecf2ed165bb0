package postgres

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// answerTimeout is how long a doubted connection may owe an answer.
const answerTimeout = statementTimeout + time.Second

// wire is the network connection under a pgx.Conn, which others than its user
// may close or doubt.
//
// When the path to a server is lost silently, nothing tells so: a statement
// waits for its answer until its deadline, a minute for a scrape. That the
// other connection to the same server had to be opened anew is a sign.
type wire struct {
	net.Conn
	address string // as it was dialled: host:port, or the path of the socket

	mu       sync.Mutex // guards the rest; no I/O under it
	closed   bool
	owed     bool // something was written, and nothing read since
	doubted  bool
	deadline *time.Timer // set while doubted and owed
}

// dialer opens the network connections. A dead peer is noticed within some 20
// seconds, also without keepalive packets while an answer is due.
func dialer() func(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 3 * time.Second, Count: 3},
		Control:         userTimeout,
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &wire{Conn: conn, address: address}, nil
	}
}

// wireOf finds the wire under a connection, which dialer has made.
func wireOf(conn *pgx.Conn) *wire {
	below := conn.PgConn().Conn()
	if encrypted, ok := below.(*tls.Conn); ok {
		below = encrypted.NetConn()
	}
	w, _ := below.(*wire)
	return w
}

// doubt makes the wire close itself if the next answer does not come in time.
// The first one that comes ends the doubt.
func (w *wire) doubt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.doubted = true
	w.watch()
}

// watch needs w.mu.
func (w *wire) watch() {
	if w.doubted && w.owed && !w.closed && w.deadline == nil {
		w.deadline = time.AfterFunc(answerTimeout, func() { _ = w.Close() })
	}
}

// trust needs w.mu.
func (w *wire) trust() {
	w.doubted = false
	if w.deadline != nil {
		w.deadline.Stop()
		w.deadline = nil
	}
}

// Write implements net.Conn.
func (w *wire) Write(b []byte) (int, error) {
	w.mu.Lock()
	w.owed = true
	w.watch()
	w.mu.Unlock()
	return w.Conn.Write(b)
}

// Read implements net.Conn.
func (w *wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if n > 0 {
		w.mu.Lock()
		w.owed = false
		w.trust()
		w.mu.Unlock()
	}
	return n, err
}

// Close implements net.Conn.
func (w *wire) Close() error {
	w.mu.Lock()
	w.closed = true
	w.trust()
	w.mu.Unlock()
	return w.Conn.Close()
}

func (w *wire) isClosed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
}
