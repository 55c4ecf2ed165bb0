package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kingpin/v2"
)

// orderVerb is what a person may order with a subcommand of its name.
type orderVerb struct {
	name, help, question string
}

var orderVerbs = []orderVerb{
	{"cancel", "Cancel the statement that a session runs.", "Cancel this statement?"},
	{"terminate", "Terminate a session.", "Terminate this session?"},
}

// liftable are the reasons of refusals that an order may lift.
var liftable = []string{"protected_user", "protected_backup", "protected_maintenance", "rule"}

// orderCommand is `pgbailiff cancel` or `pgbailiff terminate`.
type orderCommand struct {
	*target
	verb    orderVerb
	pid     string
	server  string
	yes     bool
	comment string
	lift    []string
}

func addOrders(cli *kingpin.Application) []command {
	var commands []command
	for _, verb := range orderVerbs {
		commands = append(commands, addOrder(cli, verb))
	}
	return commands
}

func addOrder(cli *kingpin.Application, verb orderVerb) command {
	clause := cli.Command(verb.name, verb.help)
	o := &orderCommand{verb: verb, target: addTarget(clause)}
	clause.Arg("pid", "Process id of the session's backend.").Required().StringVar(&o.pid)
	clause.Flag("server", "The server that has this pid.").PlaceHolder("NAME").StringVar(&o.server)
	addYes(clause, &o.yes, &o.comment)
	clause.Flag("lift", "Do it in spite of this refusal: "+strings.Join(liftable, ", ")+". Repeatable.").
		PlaceHolder("REASON").EnumsVar(&o.lift, liftable...)
	return command{name: clause.FullCommand(), run: o.run}
}

func addYes(clause *kingpin.CmdClause, yes *bool, comment *string) {
	clause.Flag("yes", "Do not ask.").Short('y').BoolVar(yes)
	clause.Flag("comment", "Why, for the ledger.").PlaceHolder("TEXT").StringVar(comment)
}

func (o *orderCommand) run(ctx context.Context, con console) error {
	pid, err := strconv.ParseInt(o.pid, 10, 32)
	if err != nil || pid <= 0 {
		return usagef("%q is not a process id", o.pid)
	}
	c, err := o.connect()
	if err != nil {
		return err
	}
	defer c.close()

	found, err := o.find(ctx, c, int32(pid))
	if err != nil {
		return err
	}
	found.describe(con.err)
	if !o.yes {
		if err := con.confirm(o.verb.question); err != nil {
			return err
		}
	}
	a, r, err := c.order(ctx, order{found.fence(), o.verb.name, o.comment, o.lift}, "api", "v1", "actions")
	if err != nil {
		return err
	}
	return o.report(con, a, r)
}

// find returns the session that has the pid.
func (o *orderCommand) find(ctx context.Context, c *client, pid int32) (runningSession, error) {
	query := url.Values{"pid": {strconv.Itoa(int(pid))}}
	if o.server != "" {
		query.Set("server", o.server)
	}
	var l sessionList
	if _, err := c.get(ctx, query, &l, sessionsPath...); err != nil {
		return runningSession{}, err
	}
	sessions := slices.DeleteFunc(l.Sessions, func(s runningSession) bool {
		return s.PID != pid || o.server != "" && s.Server != o.server
	})
	var servers, unread []string
	for _, s := range sessions {
		servers = append(servers, s.Server)
	}
	for _, e := range l.Errors {
		if !slices.Contains(servers, e.Server) { // else only who waits for whom was not read there
			unread = append(unread, e.Server)
		}
	}
	switch {
	case len(sessions) > 1:
		return runningSession{}, usagef("pid %d is on %d servers (%s): say which one with --server", pid, len(sessions), strings.Join(servers, ", "))
	case len(sessions) == 0 && len(unread) > 0:
		return runningSession{}, fmt.Errorf("no session has pid %d, but not every server could be read: %s", pid, strings.Join(l.unread(), "; "))
	case len(sessions) == 0 && o.server != "":
		return runningSession{}, fmt.Errorf("no session on %s has pid %d", o.server, pid)
	case len(sessions) == 0:
		return runningSession{}, fmt.Errorf("no session has pid %d", pid)
	case len(unread) > 0 && o.yes:
		// The person may have meant a session there.
		return runningSession{}, fmt.Errorf("nothing was done: %s may have a pid %d too, but could not be read; to act on %s say --server=%s",
			strings.Join(unread, ", "), pid, servers[0], servers[0])
	}
	return sessions[0], nil
}

// errReported ends the program with status 1 and without another sentence: all
// that there is to say has been printed.
var errReported = errors.New("reported")

// report tells what became of an order. The error is why it was not carried out.
func (t target) report(con console, a answer, r result) error {
	sentence, done := r.sentence(a.status)
	switch {
	case t.json():
		a.print(con.out)
		if !done {
			return errReported
		}
	case !done:
		return errors.New(sentence)
	default:
		_, _ = fmt.Fprintln(con.out, sentence)
	}
	return nil
}

// undone says what an outcome is that nobody wants.
var undone = map[string]string{
	"gone":       "nothing was done: it has ended already",
	"ignored":    "not done: the signal was sent, but it is still there",
	"superseded": "not done: it ended by itself just before the signal, which may have met the session's next statement",
	"refused":    "refused",
	"failed":     "not done: it failed",
	"dry_run":    "not done: dry run",
	"pending":    "not done: it waits for a person",
}

// sentence says what became of the order, and whether it was carried out.
func (r result) sentence(status int) (string, bool) {
	whose := fmt.Sprintf("pid %d on %s", r.PID, plain(r.Server))
	onRecord := ""
	if r.By != "" {
		onRecord = fmt.Sprintf(" (by %s, id %s)", plain(r.By), plain(r.ID))
	}
	switch {
	case r.Outcome == "cancelled":
		return "cancelled the statement of " + whose + onRecord, true
	case r.Outcome == "terminated":
		return "terminated the session of " + whose + onRecord, true
	case r.Reason == "denied" && status < 300:
		return "denied: " + whose + " is left alone" + onRecord, true
	}
	text, known := undone[r.Outcome]
	if !known {
		text = "not done: " + plain(r.Outcome)
	}
	text = whose + ": " + text
	if r.Reason != "" && r.Reason != "manual" {
		text += ", " + plain(r.Reason)
	}
	if r.Rule != "" {
		text += fmt.Sprintf(" (rule %q)", plain(r.Rule))
	}
	if r.Detail != "" {
		text += ": " + plain(r.Detail)
	}
	return text + r.advice(status), false
}

// advice is what the person can do now, or empty.
func (r result) advice(status int) string {
	switch {
	case r.Outcome == "refused" && slices.Contains(liftable, r.Reason):
		return fmt.Sprintf("; --lift=%s would do it in spite of this", r.Reason)
	case r.Reason == "cannot_cancel":
		return fmt.Sprintf("; pgbailiff terminate %d would end the session", r.PID)
	case status == 503:
		return "; try again"
	}
	return ""
}
