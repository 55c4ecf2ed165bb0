package e2e

import (
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/pgbailiff/pgbailiff/internal/cli"
)

// TestMain lets this test binary run as pgbailiff too: a test that runs the
// command "pgbailiff" runs the whole program, with the race detector if the tests
// have it.
func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"pgbailiff": func() { os.Exit(cli.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }})
}

// leakChecked fails when a test has left a goroutine behind.
type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	code := l.m.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
