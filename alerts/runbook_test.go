package alerts_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var headings = regexp.MustCompile(`(?m)^## (Pgbailiff\w+)$`)

func TestRunbookHasASectionForEveryAlert(t *testing.T) {
	runbook := string(read(t, "runbook.md"))
	found := headings.FindAllStringSubmatchIndex(runbook, -1)
	var sections []string
	for i, m := range found {
		name, end := runbook[m[2]:m[3]], len(runbook)
		if i+1 < len(found) {
			end = found[i+1][0]
		}
		sections = append(sections, name)
		for _, part := range []string{"Meaning", "Impact", "By itself", "A person", "Leave it alone"} {
			if !strings.Contains(runbook[m[1]:end], "**"+part+".**") {
				t.Errorf("section %s does not have %q", name, part)
			}
		}
	}
	var names []string
	for _, r := range alerts(t) {
		names = append(names, r.Alert)
	}
	if diff := cmp.Diff(slices.Compact(names), sections); diff != "" {
		t.Errorf("sections, in the order of the rules (-rules +runbook):\n%s", diff)
	}
}

func TestRunbookLinksResolve(t *testing.T) {
	runbook := string(read(t, "runbook.md"))
	anchors := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(runbook, -1) {
		anchor := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		anchors["#"+strings.ReplaceAll(anchor, " ", "-")] = true
	}
	for _, m := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(runbook, -1) {
		link := m[1]
		if strings.HasPrefix(link, "#") {
			if !anchors[link] {
				t.Errorf("%s leads nowhere", link)
			}
		} else if _, err := os.Stat(link); err != nil {
			t.Error(err)
		}
	}
}
