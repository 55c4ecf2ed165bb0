package page_test

import (
	"strings"
	"testing"
)

// With more servers than are read at once the API wants a name, so the link to all
// sessions would lead to an error.
func TestNoLinkToTheSessionsOfAFleet(t *testing.T) {
	for _, path := range []string{"/", "/?server=db07", "/approvals"} {
		for _, tc := range []struct {
			from  string
			links bool
			page  answer
		}{
			{"a hundred servers", true, get(t, handler(crowd(t)), path)},
			{"one more", false, get(t, fleet(t).handler(), path)},
		} {
			if strings.Contains(tc.page.body, `href="/pg/api/v1/sessions"`) != tc.links {
				t.Errorf("%s of %s: the link is not as it should be", path, tc.from)
			}
		}
	}
}
