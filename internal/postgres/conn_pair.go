package postgres

import (
	"fmt"
	"slices"
	"sync"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// connPair makes sure that the two connections of a Server lead to the same
// server. Otherwise an alert on what was scraped from one would end as "gone" on
// the other. The action connection decides which server that is: a scrape
// connection to another one is closed, even if it was there first.
type connPair struct {
	mu     sync.Mutex   // guards the rest; no I/O under it
	action []openedConn // the newest last; there may be two while one is replaced
	scrape openedConn
}

// openedConn is a connection that was opened, whether or not it still is.
type openedConn struct {
	whoami
	net *netConn // nil: there was none yet
}

func (c openedConn) isOpen() bool { return c.net != nil && !c.net.isClosed() }

// actionOpened records a new action connection. If there was one before, the path
// may have been lost: then the scrape connection is suspected. It is closed if it
// is on another server.
func (p *connPair) actionOpened(action openedConn) {
	p.mu.Lock()
	before, scrape := len(p.action), p.scrape
	p.action = append(slices.DeleteFunc(p.action, func(a openedConn) bool { return !a.isOpen() }), action)
	p.mu.Unlock()
	switch {
	case !scrape.isOpen():
	case !scrape.sameServer(action.whoami):
		_ = scrape.net.Close()
	case before > 0:
		scrape.net.suspect()
	}
}

// admitScrape records a new scrape connection, unless the action connection is on
// another server.
func (p *connPair) admitScrape(scrape openedConn) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if action, ok := p.newestAction(); ok && !action.sameServer(scrape.whoami) {
		return fmt.Errorf("%w: its connections lead to two servers: acting is on %s, scraping on %s; the connection string must name one server",
			session.ErrUnreachable, action.whoami, scrape.whoami)
	}
	p.scrape = scrape
	return nil
}

// newestAction is the newest action connection that is still open. It needs p.mu.
func (p *connPair) newestAction() (openedConn, bool) {
	for _, action := range slices.Backward(p.action) {
		if action.isOpen() {
			return action, true
		}
	}
	return openedConn{}, false
}

// actionAddress is where the action connection leads, empty if there is none.
func (p *connPair) actionAddress() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	action, _ := p.newestAction()
	return action.address
}
