package page_test

import (
	"fmt"
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/page"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// crowd is 500 sessions on 100 servers.
func crowd(t testing.TB) world {
	w := calm(t)
	w.Servers = nil
	for i := range int32(100) {
		s := page.Server{Name: fmt.Sprintf("db%02d", i), Snapshot: session.Snapshot{
			LocksKnown: true, Connections: 5,
			Facts: session.Facts{MaxConnections: 100, Version: "17.4", Role: "pgbailiff", CanSee: true, CanSignal: true},
		}}
		for j := range int32(5) {
			a := running(client(s.Name, 1000+5*i+j, fmt.Sprintf("user%d", j), "shop", "web", "10.0.0.1"), float64(100+5*i+j), "SELECT 1")
			if j == 4 {
				a = idling(a.Session, float64(100+5*i+j), 50, "SELECT 1")
			}
			s.Snapshot.Sessions = append(s.Snapshot.Sessions, a)
		}
		w.Servers = append(w.Servers, s)
	}
	return w
}

var next = regexp.MustCompile(`<a href="/pg(/[^"]*)">Shorter ones</a>`)

// TestEverySessionIsOnAPage: one after the other, the pages have all of them,
// each once.
func TestEverySessionIsOnAPage(t *testing.T) {
	h := handler(crowd(t))
	for query, want := range map[string]int{"": 500, "?user=user3": 100, "?state=idle+in+transaction": 100, "?server=db07": 5, "?server=db07&user=user4": 1, "?user=nobody": 0} {
		seen, pages := map[string]bool{}, 0
		for path := "/" + query; path != ""; pages++ {
			body := get(t, h, path).body
			for _, found := range regexp.MustCompile(`>pid (\d+)<`).FindAllStringSubmatch(body, -1) {
				if seen[found[1]] {
					t.Errorf("%s: pid %s is there twice", path, found[1])
				}
				seen[found[1]] = true
			}
			path = ""
			if found := next.FindStringSubmatch(body); found != nil {
				path = html.UnescapeString(found[1])
				path, _, _ = strings.Cut(path, "#")
			}
		}
		if len(seen) != want || pages != max(1, (want+49)/50) {
			t.Errorf("%q: %d sessions on %d pages, want %d", query, len(seen), pages, want)
		}
	}
}

// TestFilterSays: the page says how many there are, and what is chosen.
func TestFilterSays(t *testing.T) {
	h := handler(crowd(t))
	for query, want := range map[string]string{
		"/":                         "500 sessions; 1 to 50 are here. Shorter ones",
		"/?from=450":                "500 sessions; 451 to 500 are here. Longer ones",
		"/?from=9999":               "500 sessions; 451 to 500 are here. Longer ones",
		"/?from=-1":                 "500 sessions; 1 to 50 are here.",
		"/?from=x":                  "500 sessions; 1 to 50 are here.",
		"/?server=db07":             "5 of 500 sessions match.",
		"/?user=user3":              "100 of 500 sessions match; 1 to 50 are here.",
		"/?user=nobody":             "No session matches.",
		"/?server=%3Cb%3E%00&user=": "No session matches.",
	} {
		got := get(t, h, query)
		if said := words(got.body); !strings.Contains(said, want) || !strings.Contains(said, "100 servers, with nothing the matter") {
			t.Errorf("%s: does not say %q", query, want)
		}
		if chosen := strings.Count(got.body, " selected>"); chosen != min(1, strings.Count(query, "r=d")+strings.Count(query, "=user3")+strings.Count(query, "nobody")+strings.Count(query, "%3Cb")) {
			t.Errorf("%s: %d are chosen", query, chosen)
		}
	}
}

// TestFilterOffersWhatCanBeShown: a choice that is not shown as what it is would
// select something else.
func TestFilterOffersWhatCanBeShown(t *testing.T) {
	w := calm(t)
	for i, user := range []string{"ann", "ann\u200b", strings.Repeat("x", 81), "", "bob"} {
		w.Servers[0].Snapshot.Sessions = append(w.Servers[0].Snapshot.Sessions, running(client("orders", int32(i+1), user, "", "", ""), 60, ""))
	}
	_, users, _ := strings.Cut(get(t, handler(w), "/").body, `<select name="user">`)
	users, _, _ = strings.Cut(users, "</select>")
	if got := strings.Join(strings.Fields(words("</style>"+users)), " "); got != "all users ann bob" {
		t.Errorf("offers %s", got)
	}
}

// TestServersWithSomethingTheMatterStandOut where there are many.
func TestServersWithSomethingTheMatterStandOut(t *testing.T) {
	w := crowd(t)
	w.Servers[7].Suspended = true
	w.Servers[8].Err = fmt.Errorf("refused")
	w.Servers[9].Snapshot.Facts.CanSignal = false
	body := get(t, handler(w), "/").body
	before, after, _ := strings.Cut(body, "<details>")
	for _, name := range []string{"db07", "db08", "db09"} {
		if !strings.Contains(before, "<b><bdi>"+name) || strings.Contains(after, "<b><bdi>"+name+"</bdi></b></th>") {
			t.Errorf("%s is not in front", name)
		}
	}
	if strings.Contains(before, "<b><bdi>db10") || !strings.Contains(words(body), "97 more servers, with nothing the matter") {
		t.Error("the others are not folded away")
	}
}

func BenchmarkIndex(b *testing.B) {
	h := handler(crowd(b))
	for b.Loop() {
		if got := get(b, h, "/"); got.status != 200 {
			b.Fatal(got.status)
		}
	}
}
