package page_test

import (
	"context"
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

var (
	verdict = regexp.MustCompile(`<p class="verdict">(.*?)</p>`)
	tags    = regexp.MustCompile(`<[^>]*>`)
)

// TestVerdicts: what the policy would do to the one session of the page.
func TestVerdicts(t *testing.T) {
	app := client("orders", 7, "shop", "shop", "web", "")
	dashboards := client("orders", 7, "metabase", "shop", "metabase 1", "")
	for name, tc := range map[string]struct {
		session session.Aged
		change  func(*world)
		want    []string
	}{
		"by severity": {
			session: running(app, 60, "SELECT 1"),
			want:    []string{"warning: cancel severity", "critical: terminate severity"},
		},
		"by rule": {
			session: running(dashboards, 60, "SELECT 1"),
			want:    []string{"warning: cancel severity", "critical: cancel, then terminate rule dashboards may be dropped"},
		},
		"a person is asked": {
			session: running(client("orders", 7, "month_end", "shop", "web", ""), 60, "SELECT 1"),
			want:    []string{"warning, critical: terminate after a person approves rule month's end"},
		},
		"a cancel would do nothing": {
			session: idling(dashboards, 60, 60, "SELECT 1"),
			want: []string{
				"warning: leave alone cannot_cancel the session is idle in transaction: there is no statement to cancel",
				"critical: terminate rule dashboards may be dropped at once, because a cancel does nothing here",
			},
		},
		"protected": {
			session: running(app, 60, "VACUUM stock"),
			want:    []string{"warning, critical: leave alone protected_maintenance VACUUM"},
		},
		"protected, its text not shown": {
			session: running(app, 60, "VACUUM stock"),
			change:  func(d *world) { d.Text = nil },
			want:    []string{"warning, critical: leave alone protected_maintenance VACUUM"},
		},
		"no severities": {
			session: running(app, 60, "SELECT 1"),
			change:  func(d *world) { d.Severities = nil },
			want:    []string{`leave alone no_action no rule matches, and severity="" orders nothing`},
		},
		"suspended": {
			session: running(app, 60, "SELECT 1"),
			change:  func(d *world) { d.Servers[0].Suspended = true },
			want: []string{
				"warning: cancel severity", "critical: terminate severity",
				"but refused until somebody resumes: the server is suspended",
			},
		},
		"not allowed": {
			session: running(app, 60, "SELECT 1"),
			change:  func(d *world) { d.Servers[0].Snapshot.Facts.CanSignal = false },
			want: []string{
				"warning: cancel severity", "critical: terminate severity",
				"but refused by PostgreSQL: our role may not signal",
			},
		},
		"suspended, and left alone anyway": {
			session: running(app, 60, "VACUUM stock"),
			change:  func(d *world) { d.Servers[0].Suspended = true },
			want:    []string{"warning, critical: leave alone protected_maintenance VACUUM"},
		},
		"gone since the snapshot": {
			session: running(app, 60, "SELECT 1"),
			change: func(d *world) {
				d.Preview = func(context.Context, session.Session, map[string]string) remediation.Preview {
					return remediation.Preview{Outcome: ledger.Gone, Detail: "no session has this pid"}
				}
			},
			want: []string{"warning, critical: leave alone gone no session has this pid"},
		},
		"it cannot be asked": {
			session: running(app, 60, "SELECT 1"),
			change: func(d *world) {
				d.Preview = func(context.Context, session.Session, map[string]string) remediation.Preview {
					return remediation.Preview{Outcome: ledger.Failed, Detail: "nothing was signalled"}
				}
			},
			want: []string{"warning, critical: leave alone failed it could not be read"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := calm(t)
			d.Servers[0].Snapshot.Sessions = []session.Aged{tc.session}
			if tc.change != nil {
				tc.change(&d)
			}
			var got []string
			for _, found := range verdict.FindAllStringSubmatch(render(t, d), -1) {
				got = append(got, html.UnescapeString(tags.ReplaceAllString(found[1], "")))
			}
			if strings.Join(got, "\n") != strings.Join(tc.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
		})
	}
}

// TestModes: the page says plainly whether anything would be signalled.
func TestModes(t *testing.T) {
	for mode, want := range map[string]string{
		"off": "Every alert is refused.", "dry-run": "It sends no signal for them.", "enforce": "Firing alerts cancel statements",
		"": "Nothing is done for alerts.", "<b>": "Nothing is done for alerts.",
	} {
		d := fullPage(t)
		d.Mode = mode
		if !strings.Contains(render(t, d), want) {
			t.Errorf("mode %q: the page does not say %q", mode, want)
		}
	}
}
