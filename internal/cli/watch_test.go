package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Each screen is cleared and written at once. An error takes the place of the
// sessions and goes away; only the first one ends the watch.
func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var screens []string
		con := console{out: writer(func(text []byte) { screens = append(screens, string(text)) })}
		con.size = func() (int, int, bool) { return 40, 6, true }
		ctx, stop := context.WithCancel(t.Context())
		began, asked := time.Now(), 0
		list := func(context.Context) (sessionList, answer, error) {
			asked++
			switch asked {
			case 2:
				return sessionList{}, answer{}, errors.New("nobody\x1b listens")
			case 3:
				return sessionList{Errors: []serverError{{"users", "it could not be read"}}}, answer{}, nil
			case 4:
				stop()
				return sessionList{}, answer{}, ctx.Err()
			}
			var l sessionList
			for pid := range 9 {
				l.Sessions = append(l.Sessions, runningSession{identity: identity{Server: "orders", PID: int32(pid)}})
			}
			return l, answer{}, nil
		}
		if err := watchSessions(ctx, con, "http://localhost", list); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 3*watchInterval {
			t.Errorf("it took %s", took)
		}
		clock := func(i int) string { return began.Add(time.Duration(i) * watchInterval).Format(time.TimeOnly) }
		want := []string{
			"http://localhost  " + clock(0) + "\nSERVER  PID\norders    0\norders    1\n… and 7 more\n",
			"http://localhost  " + clock(1) + "\nnobody\\x1b listens\n",
			"http://localhost  " + clock(2) + "\nusers: it could not be read\n",
		}
		if len(screens) != len(want) {
			t.Fatalf("%d screens: %q", len(screens), screens)
		}
		for i, screen := range screens {
			if screen != clearScreen+want[i] {
				t.Errorf("screen %d is %q, want %q", i, screen, want[i])
			}
		}
	})

	var out bytes.Buffer
	con := console{out: &out, size: func() (int, int, bool) { return 0, 0, true }} // a terminal that does not know its size
	err := watchSessions(t.Context(), con, "u", func(context.Context) (sessionList, answer, error) {
		return sessionList{}, answer{}, errors.New("refused")
	})
	if err == nil || err.Error() != "refused" || out.Len() > 0 {
		t.Errorf("the first request fails: %v, %q", err, &out)
	}
}

func TestScreenOfAnUnknownSize(t *testing.T) {
	t.Parallel()
	l := sessionList{Sessions: []runningSession{{identity: identity{Server: "orders", PID: 1}, Query: strings.Repeat("x", 500)}}}
	if got := fmt.Sprint(screen(l, nil, 0)); !strings.Contains(got, strings.Repeat("x", 500)) {
		t.Errorf("the screen is %s", got)
	}
	if got := screen(sessionList{}, nil, 80); len(got) != 1 || got[0] != "no sessions" {
		t.Errorf("the screen is %q", got)
	}
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}
