package postgres

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// netConn is the network connection under a pgx.Conn. Others than its user may
// close it or suspect that it is dead.
//
// When the path to a server is lost silently, nothing reports it: a statement
// waits for its answer until its deadline, a minute for a scrape. That the other
// connection to the same server had to be opened anew is a sign of it.
type netConn struct {
	net.Conn
	address string // as it was dialled: host:port, or the path of the socket

	mu        sync.Mutex // guards the rest; no I/O under it
	closed    bool
	awaiting  bool // something was written, and nothing read since
	suspected bool
	deadline  *time.Timer // set while suspected and awaiting an answer
}

// dialer opens the network connections. A dead server is noticed within some 20
// seconds: by keepalive packets while the connection is idle, and otherwise by
// what is not acknowledged in time.
func dialer() func(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 3 * time.Second, Count: 3},
		Control:         setTCPUserTimeout,
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &netConn{Conn: conn, address: address}, nil
	}
}

// netConnOf finds the netConn under a connection, which dialer has made.
func netConnOf(conn *pgx.Conn) *netConn {
	below := conn.PgConn().Conn()
	if encrypted, ok := below.(*tls.Conn); ok {
		below = encrypted.NetConn()
	}
	c, _ := below.(*netConn)
	return c
}

// suspect makes the connection close itself if its next answer does not come
// within answerTimeout. The first answer clears the suspicion.
func (c *netConn) suspect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.suspected = true
	c.startDeadline()
}

// startDeadline starts the timer if an answer is due. It needs c.mu.
func (c *netConn) startDeadline() {
	if c.suspected && c.awaiting && !c.closed && c.deadline == nil {
		c.deadline = time.AfterFunc(answerTimeout, func() { _ = c.Close() })
	}
}

// clearSuspicion needs c.mu.
func (c *netConn) clearSuspicion() {
	c.suspected = false
	if c.deadline != nil {
		c.deadline.Stop()
		c.deadline = nil
	}
}

// Write implements net.Conn.
func (c *netConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.awaiting = true
	c.startDeadline()
	c.mu.Unlock()
	return c.Conn.Write(b)
}

// Read implements net.Conn.
func (c *netConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.mu.Lock()
		c.awaiting = false
		c.clearSuspicion()
		c.mu.Unlock()
	}
	return n, err
}

// Close implements net.Conn.
func (c *netConn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.clearSuspicion()
	c.mu.Unlock()
	return c.Conn.Close()
}

func (c *netConn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}
