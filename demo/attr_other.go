//go:build !linux

package main

import "syscall"

// procAttr does nothing here: children end by the signals that we send them, and an ordinary user
// must start PostgreSQL.
func procAttr(_, _ int, _ syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{}
}
