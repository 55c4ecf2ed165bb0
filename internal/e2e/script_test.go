package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// TestScripts runs the scripts of testdata/script. Each shows one promise to the
// user of the binary. Beside testscript's own commands they have these:
//
//	postgres NAME [setting=value]...
//	    Start a server; $NAME is the DSN of a role that may see and signal,
//	    $NAME_port the server's port.
//	pgctl stop|restart|pause|resume NAME
//	sql NAME QUERY
//	    Print the query's only value, as superuser.
//	until NAME QUERY
//	    Wait until the query's value is true.
//	serverlog NAME
//	    Print the server's log.
//
//	run SESSION [user=U] [app=A] [on=NAME] SQL
//	    Start a statement in a session, a new one if there is none of this
//	    name; return when it is active, or has ended. $SESSION_pid is its pid.
//	ended SESSION SQLSTATE
//	    Wait for the statement's end: 00000 is success.
//	running SESSION
//	    Fail unless the session still runs its statement.
//	[!] alive SESSION
//	    Fail unless the session still answers.
//
//	expand FILE...
//	    Replace $NAME in the files by environment variables.
//	serve [NAME=value]... [flag]...
//	    Start pgbailiff with these flags, and in an environment with these
//	    variables, on a free port; return when it is ready, on $URL, which is
//	    http://$ADDRESS. Its log is pgbailiff.log.
//	exits STATUS ARG...
//	    Run pgbailiff with these arguments to its end.
//	signal HUP|INT|TERM
//	exited STATUS
//	    Wait for pgbailiff's end.
//	free NAME...
//	    Set variables to addresses on which nothing listens.
//
//	alert FILE [SESSION.FAMILY] [label=value]... [startsAt=TIME] [status=resolved]
//	    Add an alert to a message of Alertmanager. It has the labels of the
//	    session's series of pgbailiff_FAMILY_duration_seconds, as Prometheus
//	    would see it, under these labels; label= takes one away. TIME is
//	    absolute, or relative to now like -1h. $FINGERPRINT is set to the alert's.
//	pad FILE BYTES
//	    Make a JSON file that long.
//	http METHOD URL STATUS [token=T] [body=FILE] [within=TIME] ['Header: value']... [&NAME]
//	    Send a request and expect the status. The body goes to stdout, the
//	    headers to stderr. With &NAME do not wait for the answer.
//	answer NAME
//	    Wait for the answer to the request &NAME.
//	hangup NAME
//	    Break the connection of the request &NAME.
//	post FILE STATUS [token=T] ... [&NAME]
//	    Send the file to the webhook, with the token $TOKEN; otherwise like http.
//	await FILE|URL REGEXP
//	    Wait until it says this.
//	ledger FILE KEY...
//	    Print the values of these keys of each line, or - for a missing key.
//
//	order FILE SESSION ACTION [key=value]... [lift=REASON,...]
//	    Write a person's order with the identity that the API shows; key= takes
//	    one away.
//	keep NAME REGEXP
//	    Set a variable to what the only group matches in stdout.
//	masked FILE KEY...
//	    Print JSON with * for the values of these keys, unless they are empty or 0.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		WorkdirRoot:         t.TempDir(), // else a run of some scripts leaves a directory behind
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", "atexit_sleep_ms=0") // as in proctest.MinimalEnv
			env.Values[worldKey{}] = &world{
				t:        env.T().(testing.TB),
				servers:  map[string]*pgtest.Server{},
				sessions: map[string]*scriptSession{},
				pending:  map[string]*pendingReply{},
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"postgres":  command((*world).postgres),
			"pgctl":     command((*world).pgctl),
			"sql":       command((*world).sql),
			"until":     command((*world).until),
			"serverlog": command((*world).serverlog),
			"run":       command((*world).run),
			"ended":     command((*world).ended),
			"running":   command((*world).running),
			"alive":     command((*world).alive),
			"expand":    command((*world).expand),
			"serve":     command((*world).serve),
			"exits":     command((*world).exits),
			"signal":    command((*world).signal),
			"exited":    command((*world).exited),
			"free":      command((*world).free),
			"alert":     command((*world).alert),
			"pad":       command((*world).pad),
			"http":      command((*world).http),
			"answer":    command((*world).answer),
			"hangup":    command((*world).hangup),
			"post":      command((*world).post),
			"await":     command((*world).await),
			"ledger":    command((*world).ledger),
			"order":     command((*world).order),
			"keep":      command((*world).keep),
			"masked":    command((*world).masked),
		},
	})
}

// world is what a script has started.
type world struct {
	t  testing.TB
	ts *testscript.TestScript // of the command that runs

	servers   map[string]*pgtest.Server
	first     string // server, for sessions that name none
	sessions  map[string]*scriptSession
	pgbailiff *proctest.Process
	pending   map[string]*pendingReply
}

// worldKey is where testscript keeps a script's world.
type worldKey struct{}

// command makes a method a command of testscript.
func command(f func(w *world, neg bool, args []string) error) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		w := ts.Value(worldKey{}).(*world)
		w.ts = ts
		ts.Check(f(w, neg, args))
	}
}

// errUsage is the error of a command that is not written as TestScripts says.
var errUsage = errors.New("usage: see TestScripts")

// usage checks the number of arguments of a command that knows no negation.
func usage(neg bool, args []string, least, most int) error {
	if neg || len(args) < least || most >= 0 && len(args) > most {
		return errUsage
	}
	return nil
}

// options takes NAME=value out of the arguments, for these names.
func options(args []string, names ...string) (found map[string]string, rest []string) {
	found = map[string]string{}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if ok && slices.Contains(names, name) {
			found[name] = value
		} else {
			rest = append(rest, arg)
		}
	}
	return found, rest
}

func (w *world) expand(neg bool, args []string) error {
	for _, name := range args {
		text := os.Expand(w.ts.ReadFile(name), w.ts.Getenv)
		if err := os.WriteFile(w.ts.MkAbs(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return usage(neg, args, 1, -1)
}

func (w *world) serve(neg bool, args []string) error {
	dir := w.ts.MkAbs(".")
	c := proctest.Command{Path: proctest.Find(w.t, "pgbailiff"), Dir: dir, Env: proctest.MinimalEnv(dir)}
	for _, arg := range args {
		if strings.HasPrefix(arg, "--") {
			c.Args = append(c.Args, arg)
		} else {
			c.Env = append(c.Env, arg)
		}
	}
	p := proctest.Serve(w.t, c)
	w.ts.Defer(p.Stop) // before the directory with its log is removed
	w.pgbailiff = p.Process
	w.ts.Setenv("ADDRESS", p.Address)
	w.ts.Setenv("URL", p.URL)
	return usage(neg, args, 0, -1)
}

func (w *world) exits(neg bool, args []string) error {
	if err := usage(neg, args, 1, -1); err != nil {
		return err
	}
	status := "0"
	if err := w.ts.Exec("pgbailiff", args[1:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			return err
		}
		status = strconv.Itoa(exit.ExitCode())
	}
	if status != args[0] {
		return fmt.Errorf("the exit status is %s", status)
	}
	return nil
}

func (w *world) signal(neg bool, args []string) error {
	if err := usage(neg, args, 1, 1); err != nil {
		return err
	}
	sig, ok := map[string]os.Signal{"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "TERM": syscall.SIGTERM}[args[0]]
	if !ok {
		return errUsage
	}
	return w.pgbailiff.Signal(sig)
}

func (w *world) exited(neg bool, args []string) error {
	if err := usage(neg, args, 1, 1); err != nil {
		return err
	}
	if got := strconv.Itoa(w.pgbailiff.Wait()); got != args[0] {
		return fmt.Errorf("pgbailiff has exited with status %s", got)
	}
	return nil
}

func (w *world) free(neg bool, args []string) error {
	for _, name := range args {
		w.ts.Setenv(name, net.JoinHostPort("127.0.0.1", strconv.Itoa(proctest.FreePort(w.t))))
	}
	return usage(neg, args, 1, -1)
}
