package postgres

import (
	"net"
	"syscall"
	"testing"
)

func TestConnectionsHaveTCPUserTimeout(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	conn, err := dialer()(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	raw, err := conn.(*netConn).Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var got int
	var optErr error
	if err := raw.Control(func(fd uintptr) {
		got, optErr = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout)
	}); err != nil || optErr != nil {
		t.Fatal(err, optErr)
	}
	if got != int(unacknowledgedTimeout.Milliseconds()) {
		t.Errorf("TCP_USER_TIMEOUT is %d ms", got)
	}
}
