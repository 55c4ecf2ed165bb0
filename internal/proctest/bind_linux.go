package proctest

import (
	"os/exec"
	"syscall"
)

// Bind puts a command, before its start, into a process group of its own, and
// has the kernel send it sig when we die, however we die. For a postmaster
// SIGQUIT is an immediate shutdown: it ends its backends, which a SIGKILL would
// leave behind.
func Bind(cmd *exec.Cmd, sig syscall.Signal) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = sig
}
