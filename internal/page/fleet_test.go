package page_test

import (
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/page"
)

// fleet is crowd, and one server more than / reads.
func fleet(t testing.TB) *orders {
	w := crowd(t)
	w.Servers = append(w.Servers, page.Server{Name: "Orders in Köln", Suspended: true})
	w.Decisions = []ledger.Entry{entry(0, ledger.EventOutcome, ledger.Gone, "db07", 8, "none", "", "A")}
	w.Decisions[0].Replica = "pgbailiff-1"
	return &orders{world: w}
}

// TestAFleetIsNotReadAsAWhole: people choose one of the servers, by its name or by a
// part of it.
func TestAFleetIsNotReadAsAWhole(t *testing.T) {
	for query, tc := range map[string]struct {
		read  int
		says  []string
		links []string // among those to servers, in their order
	}{
		"": {0, []string{
			"101 servers They are too many to be read at once, which is done for up to 100: choose one. Server Show Suspended: nothing is signalled there until somebody resumes Orders in Köln Last decisions",
			"pid 8 db07", "at pgbailiff-1",
		}, []string{"Orders in Köln"}},
		"?server=db07":                  {1, []string{"Longest sessions", "5 sessions.", "pid 1039"}, []string{"Orders in Köln"}},
		"?server=db07&user=user4":       {1, []string{"1 of 5 sessions match.", "Show all"}, []string{"Orders in Köln"}},
		"?server=db07&user=nobody":      {1, []string{"No session matches."}, []string{"Orders in Köln"}},
		"?server=db0":                   {0, []string{"No server has this very name. Names with db0 in them: db00 db01"}, []string{"db00", "db09", "Orders in Köln"}},
		"?search=K%C3%96LN":             {0, []string{"Names with KÖLN in them: Orders in Köln"}, []string{"Orders in Köln", "Orders in Köln"}},
		"?search=DB":                    {0, []string{"db48 db49 and 50 more"}, []string{"db00", "db49"}},
		"?server=nowhere":               {0, []string{"No server has this very name. No name has nowhere in it."}, nil},
		"?server=%3Cb%3E%00":            {0, []string{"No name has <b>‹U+0000› in it."}, nil},
		"?server=Orders+in+K%C3%B6ln":   {1, []string{"suspended"}, nil},
		"?user=user4&state=active&from": {0, []string{"choose one"}, nil},
	} {
		o := fleet(t)
		got := get(t, o.handler(), "/"+query)
		said := words(got.body)
		for _, want := range tc.says {
			if got.status != 200 || !strings.Contains(said, want) {
				t.Errorf("%q: %d, and does not say %q: %s", query, got.status, want, said)
			}
		}
		if read := slices.Max(append([]int{0}, o.read...)); read != tc.read || len(o.read) > 1 {
			t.Errorf("%q: reads %v servers, want %d", query, o.read, tc.read)
		}
		plain, at := html.UnescapeString(got.body), 0
		for _, name := range tc.links {
			link := fmt.Sprintf(`<a href="/pg/?server=%s">`, url.QueryEscape(name))
			i := strings.Index(plain[at:], link)
			if i < 0 {
				t.Errorf("%q: no link to %s", query, name)
				continue
			}
			at += i + len(link)
		}
		if len(got.body) > 100_000 || strings.Contains(got.body, "<option value=\"db08") {
			t.Errorf("%q: the names of all servers are on the page, of %d bytes", query, len(got.body))
		}
	}
}

// TestTheFilterOfAServerKeepsTheServer, where that was chosen among many.
func TestTheFilterOfAServerKeepsTheServer(t *testing.T) {
	body := get(t, fleet(t).handler(), "/?server=db07&user=user4").body
	for _, want := range []string{`<input type="hidden" name="server" value="db07">`, `<a href="/pg/?server=db07#longest">Show all</a>`} {
		if !strings.Contains(body, want) {
			t.Errorf("there is no %s", want)
		}
	}
	if strings.Contains(body, `<select name="server">`) {
		t.Error("the server can be chosen twice")
	}
}

// TestALedgerThatIsDownShows: people know why nothing is signalled.
func TestALedgerThatIsDownShows(t *testing.T) {
	const says = "The ledger cannot be written: nothing is signalled."
	w := calm(t)
	if strings.Contains(words(render(t, w)), says) {
		t.Error("it is up")
	}
	w.Down = true
	if !strings.Contains(words(render(t, w)), says) {
		t.Error("it is down")
	}
}

// TestAPageIsMadeInATurn, when the servers have been read.
func TestAPageIsMadeInATurn(t *testing.T) {
	o := &orders{world: calm(t)}
	get(t, o.handler(), "/")
	if got := strings.Join(o.thoughts, ", "); got != "begins after 1, made" {
		t.Error(got)
	}
}
