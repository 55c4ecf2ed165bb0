package e2e

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
)

// The commands of TestScripts that are about PostgreSQL.

// scriptSession is a session of a script, and when its statement began.
type scriptSession struct {
	*pgtest.Client
	began time.Time
}

func (w *world) postgres(neg bool, args []string) error {
	if err := usage(neg, args, 1, -1); err != nil {
		return err
	}
	server := pgtest.Start(w.t, args[1:]...)
	w.servers[args[0]] = server
	if w.first == "" {
		w.first = args[0]
	}
	w.ts.Setenv(args[0], server.DSN("monsig"))
	w.ts.Setenv(args[0]+"_port", strconv.Itoa(server.Port()))
	return nil
}

// server returns the server of this name, or the first one.
func (w *world) server(name string) *pgtest.Server {
	if name == "" {
		name = w.first
	}
	s := w.servers[name]
	if s == nil {
		w.ts.Fatalf("there is no server %q", name)
	}
	return s
}

func (w *world) pgctl(neg bool, args []string) error {
	if err := usage(neg, args, 2, 2); err != nil {
		return err
	}
	s := w.server(args[1])
	switch args[0] {
	case "stop":
		s.Stop(w.t)
	case "restart":
		s.Restart(w.t)
	case "pause":
		s.Pause(w.t)
	case "resume":
		s.Resume(w.t)
	default:
		return errUsage
	}
	return nil
}

func (w *world) sql(neg bool, args []string) error {
	if err := usage(neg, args, 2, 2); err != nil {
		return err
	}
	value := pgtest.Value[any](w.t, w.server(args[0]), args[1])
	fmt.Fprintln(w.ts.Stdout(), value)
	return nil
}

func (w *world) until(neg bool, args []string) error {
	if err := usage(neg, args, 2, 2); err != nil {
		return err
	}
	w.server(args[0]).WaitFor(w.t, args[1])
	return nil
}

func (w *world) serverlog(neg bool, args []string) error {
	if err := usage(neg, args, 1, 1); err != nil {
		return err
	}
	fmt.Fprint(w.ts.Stdout(), w.server(args[0]).Log())
	return nil
}

func (w *world) run(neg bool, args []string) error {
	opts, rest := options(args, "user", "app", "on")
	if err := usage(neg, rest, 2, 2); err != nil {
		return err
	}
	name, sql := rest[0], rest[1]
	s := w.sessions[name]
	if s == nil {
		user := "app"
		if opts["user"] != "" {
			user = opts["user"]
		}
		var app []func(*pgx.ConnConfig)
		if opts["app"] != "" {
			app = append(app, pgtest.AppName(opts["app"]))
		}
		s = &scriptSession{Client: w.server(opts["on"]).Open(w.t, user, app...)}
		w.sessions[name] = s
		w.ts.Setenv(name+"_pid", strconv.Itoa(s.PID()))
	}
	s.Start(w.t, sql)
	s.began = s.Activity(w.t).QueryStart
	return nil
}

func (w *world) session(name string) *scriptSession {
	s := w.sessions[name]
	if s == nil {
		w.ts.Fatalf("there is no session %q", name)
	}
	return s
}

func (w *world) ended(neg bool, args []string) error {
	if err := usage(neg, args, 2, 2); err != nil {
		return err
	}
	if got := sqlstate(w.session(args[0]).Wait(w.t)); got != args[1] {
		return fmt.Errorf("the statement of %s has ended with %s", args[0], got)
	}
	return nil
}

// sqlstate returns the code of an error from the server, and 00000 for none.
func sqlstate(err error) string {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case err == nil:
		return "00000"
	case !ok:
		return err.Error()
	}
	return refused.Code
}

func (w *world) running(neg bool, args []string) error {
	if err := usage(neg, args, 1, 1); err != nil {
		return err
	}
	s := w.session(args[0])
	if !s.Running() {
		return fmt.Errorf("the statement of %s has ended with %s", args[0], sqlstate(s.Wait(w.t)))
	}
	if now := s.Activity(w.t); now.State != "active" || !now.QueryStart.Equal(s.began) {
		return fmt.Errorf("%s does something else: %+v", args[0], now)
	}
	return nil
}

func (w *world) alive(neg bool, args []string) error {
	if err := usage(false, args, 1, 1); err != nil {
		return err
	}
	if alive := w.session(args[0]).Alive(w.t); alive == neg {
		return fmt.Errorf("alive: %t", alive)
	}
	return nil
}
