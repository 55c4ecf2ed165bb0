package postgres

import (
	"strings"
	"syscall"
	"time"
)

// unacknowledgedTimeout is how long sent data may go without an acknowledgement.
// Without it the kernel retries for a quarter of an hour.
const unacknowledgedTimeout = 10 * time.Second

// tcpUserTimeout is TCP_USER_TIMEOUT of tcp(7), which package syscall lacks.
const tcpUserTimeout = 0x12

func setTCPUserTimeout(network, _ string, c syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	var err error
	if controlErr := c.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(unacknowledgedTimeout.Milliseconds()))
	}); controlErr != nil {
		return controlErr
	}
	return err
}
