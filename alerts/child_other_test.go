//go:build !linux

package alerts_test

import "syscall"

func dieWithParent() *syscall.SysProcAttr { return nil }
