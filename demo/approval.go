package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

const (
	monthEndSQL = "select sum(o.total * p.total) from orders o, customers c, orders p where o.customer < p.customer"
	comment     = "stuck, it runs again tonight"
)

// command is one that the operator ran, as it is typed in the demo's directory, and what it printed.
type command struct {
	line   string
	output string
	err    error // its exit status was not 0
}

// monthEnd is the act of the query that waits for a person. That is the operator, in a terminal.
func (s *story) monthEnd(ctx context.Context, end *ending) error {
	s.tell.title("4. A query that only a person may end")
	c, err := s.join(ctx, "finance", "month-end")
	if err != nil {
		return err
	}
	c.says("pid %s, user %s, runs:", c.pid, c.user)
	c.says("%s", monthEndSQL)
	c.says("it may be slow, or it may be stuck: an alert cannot know")
	running := later(s.tasks, func(ctx context.Context) saw { return c.ask(ctx, monthEndSQL) })
	s.crossing(c, "its query", "warning", queryWarning)

	id, err := s.question(ctx, c.pid)
	if err != nil {
		return err
	}
	s.tell.now(operator, "could click on %s, and prefers the terminal", s.stack.settings.page("/approvals"))
	for _, args := range [][]string{
		{"approvals", "--http.config.file=" + operator + ".yml"},
		{"approvals", "approve", id, "--yes", "--comment=" + comment, "--http.config.file=" + operator + ".yml"},
	} {
		end.commands = append(end.commands, s.operate(ctx, args))
	}

	result, err := receive(ctx, "the month-end report to be cancelled", running)
	if err != nil {
		return err
	}
	s.tell.at(result.ended, c.app, "sees %s", result)
	end.monthEnd = person{pid: c.pid, user: c.user, app: c.app, sql: monthEndSQL, saw: result}
	c.leave(ctx)
	return s.onRecord(ctx, c.pid, 1)
}

// question waits until pgbailiff has asked a person about a backend, and returns its ID.
func (s *story) question(ctx context.Context, pid string) (id string, err error) {
	err = waitFor(ctx, actLimit, "pgbailiff to ask a person about pid "+pid, func(context.Context) error {
		questions := about(s.ledger.all(), pid, asked)
		if len(questions) == 0 {
			return errNotYet
		}
		id = questions[0].ID
		return nil
	})
	return id, err
}

// operate runs a command as the operator does, and tells it.
func (s *story) operate(ctx context.Context, args []string) command {
	ctx, cancel := context.WithTimeout(ctx, actLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.stack.tools.pgbailiff, args...)
	cmd.Dir = s.stack.dir
	cmd.Env = append(os.Environ(), "PGBAILIFF_URL="+s.stack.settings.page(""))
	ran := command{line: typed(args)}
	s.tell.now(operator, "$ %s", ran.line)
	output, err := cmd.CombinedOutput()
	ran.output, ran.err = string(output), err
	for line := range strings.Lines(ran.output) {
		s.tell.now(operator, "%s", strings.TrimRight(line, "\n"))
	}
	if err != nil {
		s.tell.now(operator, "%v", err)
	}
	return ran
}

// typed is a command of pgbailiff's as it is typed into a shell.
func typed(args []string) string {
	words := slices.Clone(args)
	for i, word := range words {
		if name, value, is := strings.Cut(word, "="); is && strings.Contains(value, " ") {
			words[i] = fmt.Sprintf("%s=%q", name, value)
		}
	}
	return "pgbailiff " + strings.Join(words, " ")
}
