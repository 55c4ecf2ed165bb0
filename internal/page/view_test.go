package page_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/page"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// TestLongestFirst: over all servers, at most 50, none younger than asked.
func TestLongestFirst(t *testing.T) {
	d := calm(t)
	d.Servers = append(d.Servers, page.Server{Name: "billing", Snapshot: session.Snapshot{LocksKnown: true}})
	for i := range int32(80) {
		s := &d.Servers[i%2].Snapshot
		s.Sessions = append(s.Sessions, running(client("", 1000+i, "a", "b", "c", ""), float64(i), ""))
	}
	d.Servers[0].Snapshot.Sessions = append(d.Servers[0].Snapshot.Sessions, d.Servers[0].Snapshot.Sessions[39]) // twice
	html := render(t, d)
	last := -1
	for i := int32(79); i >= 0; i-- {
		at := strings.Index(html, fmt.Sprintf(`>pid %d<`, 1000+i))
		if shown := i >= 30; shown != (at >= 0) || shown && at < last {
			t.Errorf("the session of %d s is at %d, the one before at %d", i, at, last)
		}
		last = max(last, at)
	}
	if strings.Count(html, "pid 1078<") != 1 || !strings.Contains(html, "1 to 50 are here") {
		t.Error("does not say that there are more, or shows one twice")
	}

	d.MinDuration = 75
	html = render(t, d)
	if strings.Contains(html, "pid 1074<") || !strings.Contains(html, "pid 1075<") || strings.Contains(html, "are here") {
		t.Error("does not keep to the minimum")
	}
}

// TestBlockers: those that are no client's sessions say what they are.
func TestBlockers(t *testing.T) {
	d := calm(t)
	worker := client("orders", 11, "", "shop", "", "")
	worker.BackendType = "autovacuum worker"
	d.Servers[0].Snapshot.Blockers = []session.Blocker{
		{Session: session.Session{ID: session.ID{Server: "orders", PID: 12}}, Behind: 2},
		{Session: worker, Behind: 4},
		{Session: idling(client("orders", 13, "shop", "shop", "web", ""), 1, 1, "SELECT 13").Session, Behind: 1},
	}
	html := render(t, d)
	at := 0
	for _, want := range []string{
		"4 wait<", "pid 11<", "autovacuum worker", "2 wait<", "pid 12<", "hidden from our role", "1 waits<", "pid 13<",
		`aria-label="Last statement"`, "SELECT 13",
	} {
		i := strings.Index(html[at:], want)
		if i < 0 {
			t.Fatalf("no %q after the first %d characters", want, at)
		}
		at += i
	}
}

// TestMoreBlockers: those without a line are counted.
func TestMoreBlockers(t *testing.T) {
	d := calm(t)
	for i := range int32(51) {
		d.Servers[0].Snapshot.Blockers = append(d.Servers[0].Snapshot.Blockers,
			session.Blocker{Session: idling(client("orders", 100+i, "shop", "shop", "web", ""), 1, 1, "").Session, Behind: 1})
	}
	if html := render(t, d); strings.Count(html, "1 waits<") != 50 || !strings.Contains(html, "1 more backend blocks others.") {
		t.Error("51 blockers are not 50 and one more")
	}
}

func TestDurations(t *testing.T) {
	for seconds, want := range map[float64]string{
		0.25: "0.2 s", 9: "9 s", 9.99: "9.9 s", 12.7: "12 s", 60: "1 min", 61: "1 min 01 s", 3599.9: "59 min 59 s",
		3600: "1 h 00 min", 172799: "47 h 59 min", 172800: "2 d 0 h", 1e300: "11574074 d 1 h",
	} {
		d := calm(t)
		d.MinDuration = 0
		d.Servers[0].Snapshot.Sessions = []session.Aged{running(client("", 1, "a", "b", "c", ""), 0, "")}
		d.Servers[0].Snapshot.Sessions[0].Ages = session.Ages{session.FamilyQuery: seconds}
		if !strings.Contains(render(t, d), "<div>"+want+"<small>query</small>") {
			t.Errorf("%v s is not shown as %s", seconds, want)
		}
	}
}

// TestDecisionsJoinIntents: an intent is shown as long as no outcome is known.
func TestDecisionsJoinIntents(t *testing.T) {
	intent := entry(time.Minute, ledger.EventIntent, "", "orders", 7, "cancel", "severity", "A")
	done := entry(time.Second, ledger.EventOutcome, ledger.Cancelled, "orders", 7, "cancel", "severity", "A")
	reused := done
	reused.BackendStart = ledger.Time{Time: now}
	for name, tc := range map[string]struct {
		entries []ledger.Entry // newest first
		open    int
	}{
		"open":                  {[]ledger.Entry{intent}, 1},
		"done":                  {[]ledger.Entry{done, intent}, 0},
		"done twice":            {[]ledger.Entry{done, intent, intent}, 0}, // cancel, then terminate
		"again":                 {[]ledger.Entry{intent, done, intent}, 1},
		"of another's session":  {[]ledger.Entry{reused, intent}, 1},
		"two signals, one open": {[]ledger.Entry{intent, intent}, 1},
	} {
		d := calm(t)
		d.Decisions = tc.entries
		if got := strings.Count(render(t, d), "no outcome yet"); got != tc.open {
			t.Errorf("%s: %d without an outcome, want %d", name, got, tc.open)
		}
	}
	d := calm(t)
	for range 200 {
		d.Decisions = append(d.Decisions, done)
	}
	if got := strings.Count(render(t, d), ">cancelled<"); got != 50 {
		t.Errorf("shows %d decisions", got)
	}
}

// TestDecisionsLinkSessionsOfOurServers: an alert may name any server.
func TestDecisionsLinkSessionsOfOurServers(t *testing.T) {
	d := calm(t)
	d.Decisions = []ledger.Entry{
		entry(0, ledger.EventOutcome, ledger.Refused, "nowhere", 7, "none", "unknown_server", "A"),
		entry(0, ledger.EventOutcome, ledger.Gone, "orders", 8, "none", "", "A"),
	}
	if html := render(t, d); !strings.Contains(html, `">pid 8</a>`) || strings.Contains(html, `">pid 7</a>`) {
		t.Error("links a session of no server, or not one of ours")
	}
}

// TestOutcomesHaveNames: each outcome has its own words.
func TestOutcomesHaveNames(t *testing.T) {
	for _, outcome := range ledger.Outcomes() {
		d := calm(t)
		d.Decisions = []ledger.Entry{entry(0, ledger.EventOutcome, outcome, "orders", 7, "cancel", "", "A")}
		html := render(t, d)
		if want := ">" + strings.ReplaceAll(string(outcome), "_", " ") + "</span>"; !strings.Contains(html, want) {
			t.Errorf("%s is not on the page", outcome)
		}
	}
}
