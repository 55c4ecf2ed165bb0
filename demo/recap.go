package main

import (
	"fmt"
	"time"
)

// recap repeats what happened to each session, and shows the ledger and the counters.
func (s *story) recap(end *ending) {
	s.tell.title("What happened")
	s.hit("Runaway query", &end.runaway, end.records)
	if end.after.err == nil {
		s.tell.plain("    its session went on: select 1 gave %d", end.after.value)
	}
	s.hit("Forgotten transaction", &end.forgotten, end.records)
	if end.waiter.saw.err == nil {
		s.tell.plain("    pid %s (%s) waited %.1f s for the lock and then had it", end.waiter.pid, end.waiter.app, end.waiter.saw.took().Seconds())
	}
	s.hit("Month-end report", &end.monthEnd, end.records)
	s.who("Nightly load", &end.nightly)
	for _, r := range about(end.records, end.nightly.pid, outcome) {
		s.tell.plain("    %s, reason %s (%s): %s", r.Outcome, r.Reason, r.Rule, r.AlertName)
	}
	s.tell.plain("    its client saw its result: %d batches, of which %d are in the table", end.nightly.saw.value, end.batches)

	s.tell.title("The ledger: the question before the answer, the intent before the signal, the outcome after it")
	for _, r := range end.records {
		s.tell.plain("  %s  %-8s  pid %-7s %-9s  %-10s  %-8s  %-3s  %s", r.Time.Local().Format("15:04:05.000"),
			r.Event, r.PID, dash(r.Action), dash(r.Outcome), dash(r.Reason), dash(r.By), r.AlertName)
	}
	s.tell.title("/metrics: the same, counted")
	for _, c := range end.counters {
		s.tell.plain("  %s", c.line)
	}
}

// hit reports a session that was signalled.
func (s *story) hit(title string, p *person, records []record) {
	s.who(title, p)
	for _, r := range about(records, p.pid, asked) {
		s.tell.plain("    a person was asked %s, reason %s (%s): %s", r.late(), r.Reason, r.Rule, r.AlertName)
	}
	for _, r := range about(records, p.pid, approved) {
		s.tell.plain("    %s approved it, in the terminal: %q", r.By, r.Comment)
	}
	for _, r := range about(records, p.pid, intent) {
		s.tell.plain("    %s, sent %s; alert %s", r.Action, r.late(), r.AlertName)
	}
	s.tell.plain("    its client saw %s", p.saw)
}

// late says how long after the threshold it happened.
func (r record) late() string {
	start, allowed := r.began()
	if start == nil {
		return "at an unknown age"
	}
	return fmt.Sprintf("%.1f s after it had crossed %s", r.Time.Sub(start.Add(allowed)).Seconds(), seconds(allowed))
}

func (s *story) who(title string, p *person) {
	s.tell.plain("  %s: pid %s, user %s, application %s", title, p.pid, p.user, p.app)
	s.tell.plain("    %s", p.sql)
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// verdict reports whether the story ended as told. If not, it adds the ends of the programs' logs.
func (s *story) verdict(wrong []string, took time.Duration) {
	if len(wrong) == 0 {
		s.tell.plain("\n%s", s.tell.paint(green, fmt.Sprintf("It ended as told, in %.0f s.", took.Seconds())))
		return
	}
	s.tell.plain("\n%s", s.tell.paint(red, "It did not end as told:"))
	for _, w := range wrong {
		s.tell.plain("  - %s", w)
	}
	for _, c := range s.stack.children {
		s.tell.title("The end of %s's log", c.name)
		for _, l := range c.lastLines(15) {
			s.tell.plain("  %s", l)
		}
	}
}

// visit lists the addresses to look at after the story.
func (s *story) visit() {
	set := &s.stack.settings
	s.tell.title("It all stays up until you press Ctrl-C")
	for _, place := range [][2]string{
		{"pgbailiff", set.page("/")},
		{"", "user " + operator + ", password " + set.OperatorPassword},
		{"its metrics", set.page("/metrics")},
		{"Prometheus", "http://" + set.PrometheusAddr + "/alerts"},
		{"Alertmanager", "http://" + set.AlertmanagerAddr + "/"},
		{"ledger", set.LedgerFile},
	} {
		s.tell.plain("  %-13s %s", place[0], place[1])
	}
	s.tell.plain("\nRun something slow yourself, and watch it here:")
	s.tell.plain("  psql postgresql://analyst:%s@%s/shop -c 'select pg_sleep(60)'", set.Password, set.PostgresAddr)
	s.tell.plain("\nOr something that waits for you, at %s or in a terminal:", set.page("/approvals"))
	s.tell.plain("  psql postgresql://finance:%s@%s/shop -c 'select pg_sleep(600)'", set.Password, set.PostgresAddr)
	s.tell.plain("  export PGBAILIFF_URL=%s", set.page(""))
	s.tell.plain("  %s approvals --http.config.file=%s\n", s.stack.tools.pgbailiff, set.path(operator+".yml"))
}
