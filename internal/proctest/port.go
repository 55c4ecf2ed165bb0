package proctest

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
// test on this machine is given before t ends: for a program that must be told
// where to listen, or for an address where nobody answers.
func FreePort(t testing.TB) int {
	t.Helper()
	port, err := ReservePort(t.Context())
	if err != nil {
		t.Fatalf("proctest: %v", err)
	}
	t.Cleanup(port.Release)
	return port.Number
}

// Port is a reserved port of 127.0.0.1.
type Port struct {
	Number int
	held   net.Listener // keeps other tests from choosing it; nil where there are no abstract sockets
}

// Release ends the reservation.
func (p Port) Release() {
	if p.held != nil {
		_ = p.held.Close()
	}
}

// ReservePort picks a port below those that the kernel gives to outgoing
// connections, so that none of them takes it while the program is down. Between
// this check and the program's own bind, and while the program is restarted,
// nothing is bound to the port. An abstract unix socket named after it tells the
// tests of other packages that it is taken; the kernel drops it when we die.
func ReservePort(ctx context.Context) (Port, error) {
	for range 1000 {
		port := Port{Number: 20000 + rand.IntN(12000)}
		if runtime.GOOS == "linux" {
			var err error
			if port.held, err = new(net.ListenConfig).Listen(ctx, "unix", fmt.Sprintf("@pgbailiff-test-port-%d", port.Number)); err != nil {
				continue
			}
		}
		free, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port.Number))
		if err == nil {
			return port, free.Close()
		}
		port.Release()
	}
	return Port{}, errors.New("no free port between 20000 and 32000")
}
