package pgtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"testing"
)

// FreePort is a port of 127.0.0.1 on which nothing listens, and which no other
// test on this machine is given before t ends: for a program that is told
// where to listen, or for an address where nobody answers.
func FreePort(t testing.TB) int {
	t.Helper()
	port, err := reservePort(t.Context())
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(port.release)
	return port.number
}

// reservedPort is a port, and what keeps other tests from choosing it.
type reservedPort struct {
	number int
	held   net.Listener // nil where there are no abstract sockets
}

func (p reservedPort) release() {
	if p.held != nil {
		_ = p.held.Close()
	}
}

// reservePort picks a port below those that the kernel gives to outgoing
// connections, so that none of them takes it while the server is down. Between
// this look and the program's own bind, and while a server is restarted, the
// port is free for all: there an abstract socket of its number says to the
// tests of other packages that it is taken. The kernel forgets it with us.
func reservePort(ctx context.Context) (reservedPort, error) {
	for range 1000 {
		port := reservedPort{number: 20000 + rand.IntN(12000)}
		if runtime.GOOS == "linux" {
			var err error
			if port.held, err = new(net.ListenConfig).Listen(ctx, "unix", fmt.Sprintf("@pgbailiff-test-port-%d", port.number)); err != nil {
				continue
			}
		}
		free, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port.number))
		if err == nil {
			return port, free.Close()
		}
		port.release()
	}
	return reservedPort{}, errors.New("no free port between 20000 and 32000")
}
