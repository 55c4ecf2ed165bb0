package main

import (
	"os"
	"syscall"
)

// procAttr asks that a terminal's Ctrl-C does not reach the child, so that it is stopped in its
// turn, and that the child gets a signal if we are killed. A negative uid means our own user.
func procAttr(uid, gid int, ifWeDie syscall.Signal) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: ifWeDie}
	if uid >= 0 && uid != os.Geteuid() {
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	return attr
}
