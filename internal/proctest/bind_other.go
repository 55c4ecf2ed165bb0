//go:build unix && !linux

package proctest

import (
	"os/exec"
	"syscall"
)

// Bind does nothing here: only Linux can end a child with its parent. The
// command stays in our process group, so that an interrupt from the terminal
// still reaches it.
func Bind(cmd *exec.Cmd, _ syscall.Signal) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
}
