//go:build heavy && !linux

package dashboards_test

import "syscall"

func dieWithParent() *syscall.SysProcAttr { return nil }
