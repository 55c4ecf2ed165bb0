//go:build unix && !linux

package pgtest

import "syscall"

// dieWithParent does nothing here: only Linux can do it, and a server stays
// behind when a test is killed.
func dieWithParent(*syscall.SysProcAttr, syscall.Signal) {}
