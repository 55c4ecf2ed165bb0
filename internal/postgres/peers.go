package postgres

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// self is who we are on a server, and which one it is.
type self struct {
	role             uint32 // oid of the role that logged in, whatever was set since
	systemIdentifier string // empty where our role may not read it
	started          time.Time
	address          string
}

// sameServer: a standby has its primary's system identifier, and a restart
// makes other sessions of every server.
func (s self) sameServer(other self) bool {
	if s.systemIdentifier != "" && other.systemIdentifier != "" && s.systemIdentifier != other.systemIdentifier {
		return false
	}
	return s.started.Equal(other.started)
}

func (s self) String() string {
	identifier := s.systemIdentifier
	if identifier == "" {
		identifier = "unknown"
	}
	return fmt.Sprintf("%s (system identifier %s, started %s)", s.address, identifier, s.started.UTC().Format(time.RFC3339Nano))
}

// peers are the two connections of a Server. What is published must be true of
// the server that is acted on, or every alert would end as "gone". The acting
// connection says which one that is: a scraping connection to another one is
// given up, also when it was there first.
type peers struct {
	mu       sync.Mutex // guards the rest; no I/O under it
	acting   []peer     // the newest last; there may be two while one is replaced
	scraping peer
}

// peer is a connection that was opened, whether or not it still is.
type peer struct {
	self
	wire *wire // nil: there was none yet
}

func (p peer) alive() bool { return p.wire != nil && !p.wire.isClosed() }

// opened takes note of a new acting connection. If there was one before, the
// path may have been lost, so the scraping connection has to prove that it is
// alive, or has to go if it is of another server.
func (p *peers) opened(acting peer) {
	p.mu.Lock()
	before, scraping := len(p.acting), p.scraping
	p.acting = append(slices.DeleteFunc(p.acting, func(a peer) bool { return !a.alive() }), acting)
	p.mu.Unlock()
	switch {
	case !scraping.alive():
	case !scraping.sameServer(acting.self):
		_ = scraping.wire.Close()
	case before > 0:
		scraping.wire.doubt()
	}
}

// admit takes note of a new scraping connection, unless the acting one is on
// another server.
func (p *peers) admit(scraping peer) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if acting, ok := p.reference(); ok && !acting.sameServer(scraping.self) {
		return fmt.Errorf("%w: its connections lead to two servers: acting is on %s, scraping on %s; the connection string must name one server",
			session.ErrUnreachable, acting.self, scraping.self)
	}
	p.scraping = scraping
	return nil
}

// reference is the newest acting connection that is still open. It needs p.mu.
func (p *peers) reference() (peer, bool) {
	for _, acting := range slices.Backward(p.acting) {
		if acting.alive() {
			return acting, true
		}
	}
	return peer{}, false
}

// address is where the acting connection is, if there is one.
func (p *peers) address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	acting, _ := p.reference()
	return acting.address
}
