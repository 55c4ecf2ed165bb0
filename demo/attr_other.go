//go:build !linux

package main

import "syscall"

// procAttr has nothing to ask for here: children end by the signals that we send them, and
// PostgreSQL must be started by an ordinary user.
func procAttr(_, _ int, _ syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{}
}
