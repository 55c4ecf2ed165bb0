package pgtest

import "syscall"

// dieWithParent has the kernel send sig to the child when we die, however we
// die. For a postmaster SIGQUIT is an immediate shutdown: it takes its
// backends along, which a SIGKILL would leave behind.
func dieWithParent(attr *syscall.SysProcAttr, sig syscall.Signal) {
	attr.Pdeathsig = sig
}
