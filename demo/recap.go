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
	s.who("Nightly load", &end.nightly)
	for _, r := range about(end.records, end.nightly.pid, outcome) {
		s.tell.plain("    %s, reason %s (%s): %s", r.Outcome, r.Reason, r.Rule, r.AlertName)
	}
	s.tell.plain("    its client saw its result: %d batches, of which %d are in the table", end.nightly.saw.value, end.batches)

	s.tell.title("The ledger: the intent before the signal, the outcome after it")
	for _, r := range end.records {
		s.tell.plain("  %s  %-7s  pid %-7s %-9s  %-10s  %-9s  %s", r.Time.Local().Format("15:04:05.000"),
			r.Event, r.PID, dash(r.Action), dash(r.Outcome), dash(r.Reason), r.AlertName)
	}
	s.tell.title("/metrics: the same, counted")
	for _, c := range end.counters {
		s.tell.plain("  %s", c.line)
	}
}

// hit reports a session that was signalled.
func (s *story) hit(title string, p *person, records []record) {
	s.who(title, p)
	for _, r := range about(records, p.pid, intent) {
		late := "at an unknown age"
		if start, allowed := r.began(); start != nil {
			late = fmt.Sprintf("%.1f s after it had crossed %s", r.Time.Sub(start.Add(allowed)).Seconds(), seconds(allowed))
		}
		s.tell.plain("    %s, sent %s; alert %s", r.Action, late, r.AlertName)
	}
	s.tell.plain("    its client saw %s", p.saw)
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
		{"pgbailiff", "http://" + set.PgbailiffAddr + "/"},
		{"its metrics", "http://" + set.PgbailiffAddr + "/metrics"},
		{"Prometheus", "http://" + set.PrometheusAddr + "/alerts"},
		{"Alertmanager", "http://" + set.AlertmanagerAddr + "/"},
		{"ledger", set.LedgerFile},
	} {
		s.tell.plain("  %-13s %s", place[0], place[1])
	}
	s.tell.plain("\nRun something slow yourself, and watch it here:")
	s.tell.plain("  psql postgresql://analyst:%s@%s/shop -c 'select pg_sleep(60)'\n", set.Password, set.PostgresAddr)
}
