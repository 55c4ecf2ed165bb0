//go:build !linux

package postgres

import "syscall"

// userTimeout: only the keepalive notices a dead peer here.
func userTimeout(string, string, syscall.RawConn) error { return nil }
