package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPanicCancelsTheTasks(t *testing.T) {
	work := newTasks(t.Context())
	defer work.stop()
	work.start(func(context.Context) error { panic("broken") })
	<-work.ctx.Done()
	if cause := context.Cause(work.ctx); !strings.Contains(cause.Error(), "broken") {
		t.Errorf("cause is %v", cause)
	}
}

func TestFirstFailureIsTheCause(t *testing.T) {
	work := newTasks(t.Context())
	first := errors.New("first")
	work.start(func(context.Context) error { return first })
	<-work.ctx.Done()
	work.start(func(context.Context) error { return errors.New("second") })
	work.stop()
	if cause := context.Cause(work.ctx); !errors.Is(cause, first) {
		t.Errorf("cause is %v", cause)
	}
}

func TestWaitForReturnsTheLastError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		err := waitFor(t.Context(), 3*time.Second, "the server", func(context.Context) error { return errNotYet })
		if want := "waited 3s for the server: not yet"; err == nil || err.Error() != want {
			t.Errorf("error is %v, want %s", err, want)
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

func TestWaitForEndsWithItsContext(t *testing.T) {
	ended := errors.New("postgres ended by itself")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(ended)
	err := waitFor(ctx, time.Hour, "the server", func(context.Context) error { return errNotYet })
	if !errors.Is(err, ended) {
		t.Errorf("error is %v, want its cause to be %v", err, ended)
	}
}

func TestMajorVersion(t *testing.T) {
	for dir, want := range map[string]int{
		"/usr/lib/postgresql/15/bin": 15,
		"/usr/pgsql-9.6/bin":         0,
		"/usr/pgsql-18/bin":          18,
		"/usr/local/pgsql/bin":       0,
	} {
		if got := majorVersion(dir); got != want {
			t.Errorf("majorVersion(%q) = %d, want %d", dir, got, want)
		}
	}
}

func TestOneErrorNamesAllMissingPrograms(t *testing.T) {
	binary := t.TempDir() + "/pgbailiff"
	writeFile(t, binary, "#!/bin/sh\n", 0o755)
	t.Setenv("PATH", t.TempDir())
	_, err := findTools(t.Context(), binary)
	if err == nil {
		t.Fatal("found programs in an empty directory")
	}
	for _, want := range []string{"missing: prometheus, alertmanager", "apt-get install prometheus prometheus-alertmanager"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q is more than a line", err)
	}
}

func TestMissingBinary(t *testing.T) {
	_, err := findTools(t.Context(), t.TempDir()+"/pgbailiff")
	if err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("error is %v, want the advice to build it", err)
	}
}
