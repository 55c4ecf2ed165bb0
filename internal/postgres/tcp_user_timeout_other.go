//go:build !linux

package postgres

import "syscall"

// setTCPUserTimeout: on this system only keepalive packets notice a dead server.
func setTCPUserTimeout(string, string, syscall.RawConn) error { return nil }
