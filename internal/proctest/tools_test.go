package proctest

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func lineOf(key string) *regexp.Regexp { return regexp.MustCompile(key + `=(\S+)\n`) }

func TestFindSaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for program, want := range map[string]string{
		"alertmanager": "alertmanager is missing: install Alertmanager (Debian and Ubuntu: apt-get install prometheus-alertmanager)",
		"something":    "something is missing: install it, or put it into PATH",
	} {
		v := &verdict{TB: t}
		v.ending(func() { Find(v, program) })
		v.expect(t, true, want)
	}
}

func TestOutput(t *testing.T) {
	if got := filter(t, strings.NewReader("in"), "sh", "-c", "cat; echo out >&2"); got != "in" {
		t.Errorf("the output is %q", got)
	}
	v := &verdict{TB: t}
	v.ending(func() { Output(v, "sh", "-c", "echo out; echo why >&2; exit 3") })
	v.expect(t, true, "sh -c", "exit status 3\nout\nwhy")
}

func TestPoll(t *testing.T) {
	broken, notYet := errors.New("broken"), errors.New("not yet")
	synctest.Test(t, func(t *testing.T) {
		began, tries := time.Now(), 0
		err := Poll(t.Context(), time.Second, func() error {
			if tries++; tries < 3 {
				return notYet
			}
			return nil
		})
		if took := time.Since(began); err != nil || took != 2*time.Second {
			t.Errorf("the third try: %v after %s", err, took)
		}

		if err := Poll(t.Context(), time.Second, func() error { return Final(broken) }); !errors.Is(err, broken) || errors.Unwrap(err) != nil {
			t.Errorf("a final error: %v", err)
		}

		ctx, cancel := context.WithTimeout(t.Context(), 5500*time.Millisecond)
		defer cancel()
		tries = 0
		err = Poll(ctx, time.Second, func() error {
			if tries++; tries < 3 {
				return notYet
			}
			<-ctx.Done()
			return errors.New("the request was given up")
		})
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, notYet) {
			t.Errorf("after the deadline: %v", err)
		}
	})
}

func TestFreePortsDiffer(t *testing.T) {
	seen := map[int]bool{}
	for range 200 {
		port := FreePort(t)
		if seen[port] {
			t.Errorf("%d twice", port)
		}
		seen[port] = true
	}
}

func TestFetch(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			http.Error(w, "who?", http.StatusUnauthorized)
		}
	}))
	t.Cleanup(server.Close)
	if _, err := Get(t, server.URL, "Authorization: Bearer t"); err != nil {
		t.Error(err)
	}
	if _, err := Get(t, server.URL); err == nil || !strings.Contains(err.Error(), ": 401 who?") {
		t.Errorf("%v, want its status and what it says", err)
	}
	if _, err := Get(t, server.URL, "nonsense"); err == nil {
		t.Error("a header without a value was sent")
	}
}
