package main

import (
	"os"
	"syscall"
)

// procAttr puts the child into a process group of its own, so that a terminal's Ctrl-C does not
// reach it before end stops it, and has the kernel send it parentDeath if we are killed. A negative
// uid means our own user.
func procAttr(uid, gid int, parentDeath syscall.Signal) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: parentDeath}
	if uid >= 0 && uid != os.Geteuid() {
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	return attr
}
