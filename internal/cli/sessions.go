package cli

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/app"
)

// command is a subcommand for a person in a terminal: a client of pgbailiff or of
// the ledger's database.
type command struct {
	name string
	run  func(context.Context, console) error
	// configured says that it reads --config.file. It takes no other flag of the
	// daemon.
	configured bool
}

// addCommands adds the subcommands for a person.
func addCommands(cli *kingpin.Application, options *app.Options) []command {
	return slices.Concat([]command{addSessions(cli)}, addOrders(cli), addApprovals(cli), addLedger(cli, options), []command{addHealthcheck(cli)})
}

// sessionsQuery says which sessions to list.
type sessionsQuery struct {
	*target
	server, minDuration string
	watch               bool
}

func addSessions(cli *kingpin.Application) command {
	clause := cli.Command("sessions", "Show who runs how long, longest first.")
	q := &sessionsQuery{target: addTarget(clause)}
	clause.Flag("server", "Only the sessions of this server.").PlaceHolder("NAME").StringVar(&q.server)
	clause.Flag("min-duration", "Only the sessions that have run this long; default: collector.min_duration of pgbailiff.").
		PlaceHolder("10s").StringVar(&q.minDuration)
	clause.Flag("watch", "Show them again every two seconds until interrupted.").Short('w').BoolVar(&q.watch)
	return command{name: clause.FullCommand(), run: q.run}
}

func (q *sessionsQuery) run(ctx context.Context, con console) error {
	query := url.Values{}
	if q.server != "" {
		query.Set("server", q.server)
	}
	if q.minDuration != "" {
		if _, err := model.ParseDuration(q.minDuration); err != nil {
			return usagef("--min-duration=%q is not a duration like 10s or 1h30m", q.minDuration)
		}
		query.Set("min_duration", q.minDuration)
	}
	_, _, terminal := con.size()
	switch {
	case q.watch && q.json():
		return usagef("--watch is for a person: it does not go with --output=json")
	case q.watch && !terminal:
		return usagef("--watch needs a terminal")
	}
	c, err := q.connect()
	if err != nil {
		return err
	}
	defer c.close()

	list := func(ctx context.Context) (sessionList, answer, error) {
		var l sessionList
		a, err := c.get(ctx, query, &l, sessionsPath...)
		return l, a, err
	}
	if q.watch {
		ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		return watchSessions(ctx, con, c.String(), list)
	}
	l, a, err := list(ctx)
	if err != nil {
		return err
	}
	if q.json() {
		a.print(con.out)
	} else {
		l.print(con.out, con.width())
		if len(l.Sessions) == 0 && len(l.Errors) == 0 {
			_, _ = fmt.Fprintln(con.err, "no sessions")
		}
	}
	for _, sentence := range l.unread() {
		complain(con.err, sentence)
	}
	if len(l.Errors) > 0 {
		return errReported
	}
	return nil
}

// sessionsPath is the path below the address of pgbailiff.
var sessionsPath = []string{"api", "v1", "sessions"}

// unread says which servers could not be read, and why.
func (l sessionList) unread() []string {
	var sentences []string
	for _, e := range l.Errors {
		sentences = append(sentences, e.Server+": "+e.Error)
	}
	return sentences
}

// print writes the sessions as a table.
func (l sessionList) print(w io.Writer, width int) {
	for _, line := range l.table(width) {
		_, _ = fmt.Fprintln(w, line)
	}
}

// table makes the lines of the table: the first has the names of the columns.
func (l sessionList) table(width int) []string {
	columns := []column{
		{name: "SERVER", least: 6},
		{name: "PID", right: true},
		{name: "USER@DB", least: 10},
		{name: "APP", least: 6},
		{name: "STATE", least: 8},
		{name: "FOR", right: true},
		{name: "XACT", right: true},
		{name: "BLOCKS", right: true},
		{name: "STATEMENT", least: 9},
	}
	for _, s := range l.Sessions {
		row := []string{
			plain(s.Server), strconv.Itoa(int(s.PID)), s.who(), plain(s.ApplicationName), s.doing(),
			since(s.inState()), since(s.TransactionDuration), count(s.Blocked), oneLine(s.Query),
		}
		for i, cell := range row {
			columns[i].cells = append(columns[i].cells, cell)
		}
	}
	return layOut(columns, width)
}

// who is as in PostgreSQL's own log: user@database.
func (f facts) who() string {
	if f.Datname == "" {
		return plain(f.Usename)
	}
	return plain(f.Usename + "@" + f.Datname)
}

// doing is the state and, if the session does not just wait for its client, what
// it waits for.
func (f facts) doing() string {
	if f.State == "active" && f.WaitEventType != "" {
		return plain(f.State + " " + f.WaitEventType + ":" + f.WaitEvent)
	}
	return plain(f.State)
}

// since is empty for what is not going on.
func since(s float64) string {
	if s == 0 {
		return ""
	}
	return seconds(s)
}

func count(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// describe writes a session so that a person can tell whether it is the right one.
func (s runningSession) describe(w io.Writer) {
	_, _ = fmt.Fprintf(w, "pid %d on %s\n", s.PID, plain(s.Server))
	s.facts.describe(w, since(s.inState()))
	detail(w, "transaction", since(s.TransactionDuration))
	switch s.Blocked {
	case 0:
	case 1:
		detail(w, "blocks", "1 session waits behind it")
	default:
		detail(w, "blocks", fmt.Sprintf("%d sessions wait behind it", s.Blocked))
	}
	if len(s.BlockedBy) > 0 {
		detail(w, "waits for", "pid "+strings.Trim(strings.Join(strings.Fields(fmt.Sprint(s.BlockedBy)), ", "), "[]"))
	}
	name := "statement"
	if s.State != "active" {
		name = "last statement"
	}
	detail(w, name, oneLine(s.Query))
}

func (f facts) describe(w io.Writer, inState string) {
	detail(w, "who", f.who())
	detail(w, "application", plain(f.ApplicationName))
	detail(w, "client", plain(f.ClientAddr))
	state := f.doing()
	if state != "" && inState != "" {
		state += ", for " + inState
	}
	detail(w, "state", state)
}

// detail writes a line of a description, if there is something to write.
func detail(w io.Writer, name, plainText string) {
	if plainText != "" {
		_, _ = fmt.Fprintf(w, "  %-15s %s\n", name, plainText)
	}
}
