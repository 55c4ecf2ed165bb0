//go:build heavy && linux

package dashboards_test

import "syscall"

// dieWithParent has the kernel end the child when the tests are killed.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
