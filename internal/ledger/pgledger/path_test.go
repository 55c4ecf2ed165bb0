package pgledger_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// path is a way to a server that can be cut.
type path struct {
	listener net.Listener
	server   string // host:port
	all      sync.WaitGroup

	mu    sync.Mutex // guards the rest
	state pathState
	conns []net.Conn
	held  []*hold
}

// hold is what was sent on one connection since the path was holding.
type hold struct {
	to        net.Conn
	text      []byte
	delivered bool
}

type pathState int

const (
	whole   pathState = iota
	deaf              // what is sent arrives, and no answer comes back
	holding           // what is sent arrives at its delivery
	cut               // nothing arrives
)

func newPath(t testing.TB, s *pgtest.Server) *path {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(s.DSN("postgres"), "@")
	server, _, _ := strings.Cut(rest, "/")
	p := &path{listener: listener, server: server}
	p.all.Go(func() { p.serve(t) })
	t.Cleanup(func() {
		_ = listener.Close()
		p.mu.Lock()
		for _, conn := range p.conns {
			_ = conn.Close()
		}
		p.mu.Unlock()
		p.all.Wait()
	})
	return p
}

// dsn leads to the server by this path.
func (p *path) dsn(s *pgtest.Server) string {
	return strings.Replace(s.DSN("postgres"), p.server, p.listener.Addr().String(), 1)
}

// become changes the state, also for the connections that are open. New ones are
// closed at once while it is not whole.
func (p *path) become(state pathState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = state
}

func (p *path) now() pathState {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// holds reports whether something is held.
func (p *path) holds() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.held) > 0
}

// deliver sends on what was held.
func (p *path) deliver() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.held {
		_, _ = h.to.Write(h.text)
		h.delivered = true
	}
}

func (p *path) serve(t testing.TB) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.server)
		if err != nil || p.now() != whole {
			_ = client.Close()
			if err == nil {
				_ = server.Close()
			}
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.mu.Unlock()
		p.all.Go(func() { p.forward(client, server, true) })
		p.all.Go(func() { p.forward(server, client, false) })
	}
}

// cancelRequest is how a connection begins that only asks to cancel what another one
// does. None is let through, because it may come at any time.
var cancelRequest = []byte{0, 0, 0, 16, 4, 210, 22, 46}

func (p *path) forward(from, to net.Conn, up bool) {
	buffer := make([]byte, 64<<10)
	var held *hold
	for {
		n, err := from.Read(buffer)
		text := bytes.Clone(buffer[:n])
		if up && bytes.HasPrefix(text, cancelRequest) {
			_ = from.Close()
			_ = to.Close()
			return
		}
		p.mu.Lock()
		state := p.state
		if up && n > 0 && state == holding && held == nil {
			held = &hold{to: to}
			p.held = append(p.held, held)
		}
		switch {
		case n == 0:
		case held != nil && !held.delivered:
			held.text = append(held.text, text...)
		case state == whole || up && state == deaf:
			_, _ = to.Write(text)
		}
		p.mu.Unlock()
		if err != nil {
			if state == whole && held == nil && errors.Is(err, io.EOF) { // else the other end does not hear of it
				_ = to.Close()
			}
			return
		}
	}
}
