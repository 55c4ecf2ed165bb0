package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// proxy forwards connections to a server from an address of its own.
type proxy struct {
	listener net.Listener
	done     sync.WaitGroup

	mu      sync.Mutex // guards the rest
	changed *sync.Cond
	target  string
	links   map[*link]bool
	limit   int // while more than these are opening, none of them is forwarded; 0: no limit
	opening int
	most    int // of opening
	gaveUp  int // clients that left while they were opening
	closed  bool
}

// link is one connection through the proxy. The proxy's mutex guards it.
type link struct {
	client, server net.Conn
	opening        bool // the server has not said yet that it is ready
	lost           bool // data from both sides is dropped
}

func newProxy(t testing.TB, to *pgtest.Server) *proxy {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, links: map[*link]bool{}}
	p.changed = sync.NewCond(&p.mu)
	p.lead(to)
	p.done.Go(func() { p.accept(context.WithoutCancel(t.Context())) })
	t.Cleanup(p.close)
	return p
}

// port is where the proxy listens, on 127.0.0.1.
func (p *proxy) port() int { return p.listener.Addr().(*net.TCPAddr).Port }

// lead makes new connections go to the server.
func (p *proxy) lead(to *pgtest.Server) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = net.JoinHostPort(to.Host(), itoa(to.Port()))
}

// lose drops all data of the existing connections, in both directions. New
// connections work.
func (p *proxy) lose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.lost = true
	}
}

// cut closes the existing connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.close()
	}
}

// atOnce is how many connections were opening at the same time, at most. A client
// that gave up may have begun anew before the proxy noticed, and is left out.
func (p *proxy) atOnce() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.most - p.gaveUp
}

func (p *proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for l := range p.links {
		l.close()
	}
	p.changed.Broadcast()
	p.mu.Unlock()
	p.done.Wait()
}

func (l *link) close() {
	_ = l.client.Close()
	_ = l.server.Close()
}

func (p *proxy) accept(ctx context.Context) {
	for {
		client, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		p.mu.Lock()
		target := p.target
		p.opening++
		p.most = max(p.most, p.opening)
		p.mu.Unlock()
		server, err := new(net.Dialer).DialContext(ctx, "tcp", target)
		if err != nil {
			p.mu.Lock()
			p.opening--
			p.changed.Broadcast()
			p.mu.Unlock()
			_ = client.Close()
			continue
		}
		l := &link{client: client, server: server, opening: true}
		p.mu.Lock()
		if p.closed {
			l.close()
		}
		p.links[l] = true
		p.mu.Unlock()
		chunks := make(chan []byte, 64)
		p.done.Go(func() { p.read(l, chunks) })
		p.done.Go(func() { p.write(l, chunks) })
		p.done.Go(func() { p.answer(l) })
	}
}

// read reads from the client even while nothing is forwarded, so that the proxy
// notices when the client closes the connection.
func (p *proxy) read(l *link, to chan<- []byte) {
	defer close(to)
	defer p.leave(l)
	for {
		b := make([]byte, 32<<10)
		n, err := l.client.Read(b)
		if err != nil {
			return
		}
		to <- b[:n]
	}
}

func (p *proxy) write(l *link, from <-chan []byte) {
	for b := range from {
		if p.mayPass(l) {
			_, _ = l.server.Write(b)
		}
	}
}

// answer forwards what the server sends.
func (p *proxy) answer(l *link) {
	defer l.client.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := l.server.Read(b)
		if err != nil {
			return
		}
		if bytes.Contains(b[:n], []byte("Z\x00\x00\x00\x05")) { // ready for a query
			p.opened(l)
		}
		if p.mayPass(l) {
			_, _ = l.client.Write(b[:n])
		}
	}
}

// mayPass waits while the connection is one of too many that are opening.
func (p *proxy) mayPass(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.limit > 0 && p.opening > p.limit && l.opening && !p.closed {
		p.changed.Wait()
	}
	return !l.lost
}

func (p *proxy) opened(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.opening {
		l.opening = false
		p.opening--
		p.changed.Broadcast()
	}
}

func (p *proxy) leave(l *link) {
	p.mu.Lock()
	if l.opening {
		p.gaveUp++
	}
	p.mu.Unlock()
	p.opened(l)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
	_ = l.server.Close()
}
