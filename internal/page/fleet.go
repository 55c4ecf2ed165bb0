package page

import (
	"net/url"
	"slices"
	"strings"
)

// fleetView is the beginning of / where there are too many servers to read them
// all: people choose one.
type fleetView struct {
	Action    string // of the form
	All       int    // servers
	Most      int    // that would be read
	Chosen    string // the server that is read; empty: none
	Others    string // the search for its name, if others have it in them
	Sought    string // as it was typed
	Unknown   bool   // no server has this very name
	Found     []serverLink
	MoreFound int // that have no link
	Suspended []serverLink
	MoreSusp  int // suspended servers that have no link
}

type serverLink struct{ Name, Link string }

// addFleet fills in which servers there are, and returns the one that is chosen, if
// any. What is no name of a server is looked for in the names.
func (p *Pages) addFleet(v *indexView, names []string, server, search string) (chosen []string) {
	f := &fleetView{Action: p.base + "/", All: len(names), Most: p.site.MostServers}
	v.Fleet = f
	if slices.Contains(names, server) {
		f.Chosen, chosen = name(server), []string{server}
		if len(containing(names, server)) > 1 {
			f.Others = p.search(server)
		}
	} else if search == "" {
		search, f.Unknown = server, server != ""
	}
	if search != "" {
		f.Sought = name(search)
		f.Found, f.MoreFound = p.serverLinks(containing(names, search))
		if len(chosen) == 0 {
			v.Self = p.search(search)
		}
	}
	f.Suspended, f.MoreSusp = p.serverLinks(slices.DeleteFunc(slices.Clone(p.source.Suspended()), func(n string) bool { return !slices.Contains(names, n) }))
	return chosen
}

func (p *Pages) search(text string) string {
	return p.base + "/?" + url.Values{"search": {text}}.Encode()
}

// containing are the names with the text in them.
func containing(names []string, text string) (found []string) {
	text = strings.ToLower(text)
	for _, n := range names {
		if strings.Contains(strings.ToLower(n), text) {
			found = append(found, n)
		}
	}
	return found
}

// serverLinks are links to the first of the servers, by name, and how many more
// there are.
func (p *Pages) serverLinks(names []string) (links []serverLink, more int) {
	slices.Sort(names)
	for _, n := range names[:min(len(names), rows)] {
		links = append(links, serverLink{name(n), p.base + "/" + filter{Server: n}.query(0)})
	}
	return links, len(names) - len(links)
}
