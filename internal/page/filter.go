package page

import (
	"net/url"
	"slices"
	"strconv"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

// filter selects the sessions of /, and how many of them come before the first
// that is shown. An empty value selects all.
type filter struct {
	Server, User, State string
	From                int
}

// readFilter reads a query. What it cannot read selects all.
func readFilter(query url.Values) filter {
	from, err := strconv.Atoi(query.Get("from"))
	if err != nil || from < 0 {
		from = 0
	}
	return filter{Server: query.Get("server"), User: query.Get("user"), State: query.Get("state"), From: from}
}

func (f filter) selects(s session.Session, server string) bool {
	return (f.Server == "" || f.Server == server) && (f.User == "" || f.User == s.Usename) && (f.State == "" || f.State == string(s.State))
}

func (f filter) all() bool { return f.Server == "" && f.User == "" && f.State == "" }

// query is the query of the address that shows the same sessions from another one on.
func (f filter) query(from int) string {
	query := url.Values{}
	for key, value := range map[string]string{"server": f.Server, "user": f.User, "state": f.State} {
		if value != "" {
			query.Set(key, value)
		}
	}
	if from > 0 {
		query.Set("from", strconv.Itoa(from))
	}
	if len(query) == 0 {
		return ""
	}
	return "?" + query.Encode()
}

// filterView is the form of the filter, and what it has selected.
type filterView struct {
	Choices       []choice
	On            bool // something is filtered out
	Everything    string
	Server        string // is not among the choices; empty: it is
	Fixed         bool   // there is no form
	All, Selected int    // sessions
	First, Last   int    // of those selected, from 1; 0: none is shown
	Before, After string
}

// choice is one field of the form.
type choice struct {
	Field, Label, All string
	Options           []option
}

type option struct {
	Value  string
	Chosen bool
}

// choices are the fields with the values that occur, and the one that is chosen.
func (f filter) choices(servers []Server, sessions []lasting) []choice {
	var names, users []string
	for _, s := range servers {
		names = append(names, s.Name)
	}
	for _, s := range sessions {
		users = append(users, s.Usename)
	}
	var states []string
	for _, s := range session.States() {
		states = append(states, string(s))
	}
	return []choice{
		{"server", "Server", "all servers", options(names, f.Server)},
		{"user", "User", "all users", options(users, f.User)},
		{"state", "State", "all states", options(states, f.State)},
	}
}

// options offers no value that cannot be shown as what it is.
func options(values []string, chosen string) []option {
	values = append(values, chosen)
	slices.Sort(values)
	var all []option
	for _, value := range slices.Compact(values) {
		if shown := name(value); value != "" && (shown == value || value == chosen) {
			all = append(all, option{shown, value == chosen})
		}
	}
	return all
}

// window returns the sessions that are shown of those selected.
func (f filter) window(selected []lasting, base string, v *filterView) []lasting {
	v.Selected = len(selected)
	from := min(f.From, max(0, len(selected)-1)/rows*rows)
	shown := selected[from:min(from+rows, len(selected))]
	if len(shown) > 0 {
		v.First, v.Last = from+1, from+len(shown)
	}
	if from > 0 {
		v.Before = base + "/" + f.query(max(0, from-rows)) + "#longest"
	}
	if from+len(shown) < len(selected) {
		v.After = base + "/" + f.query(from+rows) + "#longest"
	}
	return shown
}
