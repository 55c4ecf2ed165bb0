package cli

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/alecthomas/kingpin/v2"
)

var approvalsPath = []string{"api", "v1", "approvals"}

// approvalsCommand is `pgbailiff approvals` and what stands below it.
type approvalsCommand struct {
	*target
	id      string
	yes     bool
	comment string
}

func addApprovals(cli *kingpin.Application) []command {
	parent := cli.Command("approvals", "Show what waits for a person, approve it or deny it.")
	q := &approvalsCommand{target: addTarget(parent)}
	list := parent.Command("list", "Show what waits for a person (the default).").Default()
	commands := []command{{name: list.FullCommand(), run: q.list}}
	for _, decision := range []struct{ name, help, question string }{
		{"approve", "Approve an order: it is decided anew and carried out.", "Approve this order?"},
		{"deny", "Deny an order: its target is left alone.", "Deny this order?"},
	} {
		clause := parent.Command(decision.name, decision.help)
		clause.Arg("id", "What waits, as the list names it.").Required().StringVar(&q.id)
		addYes(clause, &q.yes, &q.comment)
		commands = append(commands, command{name: clause.FullCommand(), run: func(ctx context.Context, con console) error {
			return q.decide(ctx, con, decision.name, decision.question)
		}})
	}
	return commands
}

func (q *approvalsCommand) list(ctx context.Context, con console) error {
	c, err := q.connect()
	if err != nil {
		return err
	}
	defer c.close()
	var l approvalList
	a, err := c.get(ctx, nil, &l, approvalsPath...)
	switch {
	case err != nil:
		return err
	case q.json():
		a.print(con.out)
	case len(l.Approvals) == 0:
		_, _ = fmt.Fprintln(con.err, "nothing waits for a person")
	default:
		for _, line := range l.table(time.Now(), con.width()) {
			_, _ = fmt.Fprintln(con.out, line)
		}
	}
	return nil
}

// table makes the lines of the table. An id is never cut: it is to be copied.
func (l approvalList) table(now time.Time, width int) []string {
	columns := []column{
		{name: "ID"},
		{name: "SERVER", least: 6},
		{name: "PID", right: true},
		{name: "ACTION", least: 6},
		{name: "USER@DB", least: 7},
		{name: "ALERT", least: 6},
		{name: "ASKED", right: true},
		{name: "LEFT", right: true},
	}
	for _, p := range l.Approvals {
		row := []string{
			plain(p.ID), plain(p.Server), strconv.Itoa(int(p.PID)), plain(p.Action), p.who(), plain(p.Alertname),
			between(p.AskedAt, now), until(now, p.Until),
		}
		for i, cell := range row {
			columns[i].cells = append(columns[i].cells, cell)
		}
	}
	return layOut(columns, width)
}

// between is how long ago a time of the API was.
func between(from string, now time.Time) string {
	t, err := time.Parse(time.RFC3339, from)
	if err != nil {
		return plain(from)
	}
	return age(now.Sub(t))
}

// until is how long it is until a time of the API.
func until(now time.Time, to string) string {
	t, err := time.Parse(time.RFC3339, to)
	if err != nil {
		return plain(to)
	}
	return age(t.Sub(now))
}

// decide shows what waits, asks, and tells pgbailiff what the person decided.
func (q *approvalsCommand) decide(ctx context.Context, con console, decision, question string) error {
	c, err := q.connect()
	if err != nil {
		return err
	}
	defer c.close()
	var l approvalList
	if _, err := c.get(ctx, nil, &l, approvalsPath...); err != nil {
		return err
	}
	i := slices.IndexFunc(l.Approvals, func(p approval) bool { return p.ID == q.id })
	if i < 0 {
		return fmt.Errorf("nothing waits under the id %s: it was answered already, has expired or never was", q.id)
	}
	l.Approvals[i].describe(con.err, time.Now())
	if !q.yes {
		if err := con.confirm(question); err != nil {
			return err
		}
	}
	a, r, err := c.order(ctx, verdict{decision, q.comment}, append(slices.Clone(approvalsPath), url.PathEscape(q.id))...)
	if err != nil {
		return err
	}
	return q.report(con, a, r)
}

func (p approval) describe(w io.Writer, now time.Time) {
	_, _ = fmt.Fprintf(w, "%s pid %d on %s\n", plain(p.Action), p.PID, plain(p.Server))
	p.facts.describe(w, "")
	detail(w, "alert", plain(p.Alertname))
	detail(w, "severity", plain(p.Severity))
	detail(w, "rule", plain(p.Rule))
	detail(w, "asked", between(p.AskedAt, now)+" ago")
	detail(w, "expires", "in "+until(now, p.Until))
}
