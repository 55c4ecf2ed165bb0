package page

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// basePath is the path of an address, for links, without a slash at its end.
func basePath(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.TrimRight(u.EscapedPath(), "/")
}

// sessionPath is the path of a session's page below the base. It is empty for
// what is no session, or one that our role may not see. No part of a path can be
// called "." or "..", because a browser takes it away.
func sessionPath(id session.ID) string {
	if id.PID == session.PreparedTransaction || id.BackendStart.IsZero() || slices.Contains([]string{"", ".", ".."}, id.Server) {
		return ""
	}
	return fmt.Sprintf("/sessions/%s/%d/%s", url.PathEscape(id.Server), id.PID, session.FormatTime(id.BackendStart))
}

// link is the address of a session's page, or empty.
func (p *Pages) link(id session.ID) string {
	path := sessionPath(id)
	if path == "" {
		return ""
	}
	return p.base + path
}

// silence is the address of Alertmanager's form for a silence about a session.
func silence(alertmanager string, id session.ID) string {
	if alertmanager == "" {
		return ""
	}
	matcher := fmt.Sprintf(`{server=%s,pid="%d",backend_start="%s"}`, quoteMatcher(id.Server), id.PID, session.FormatTime(id.BackendStart))
	return strings.TrimRight(alertmanager, "/") + "/#/silences/new?filter=" + escapeFragment(matcher) +
		"&comment=" + escapeFragment("Leave this session alone")
}

// quoteMatcher quotes a value as Alertmanager's matchers want it.
func quoteMatcher(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// escapeFragment escapes a value of the query in a fragment, where a plus sign
// is no space.
func escapeFragment(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// command is the line for a terminal that orders the same. It is empty for a
// server whose name cannot be written on one line.
func (p *Pages) command(action policy.Action, id session.ID) string {
	if visible(id.Server, "") != id.Server {
		return ""
	}
	return fmt.Sprintf("pgbailiff %s %d --server=%s --url=%s", action, id.PID, shellWord(id.Server), shellWord(p.site.URL))
}

var plainWord = regexp.MustCompile(`^[0-9A-Za-z@%+=:,./_-]+$`)

// shellWord quotes a word for a shell, if it needs that.
func shellWord(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// tokenBase is where the endpoints that need the token answer.
func (p *Pages) tokenBase() string {
	configured := p.site.WebhookURL
	if configured == "" {
		return p.site.URL
	}
	page, err := url.Parse(p.site.URL)
	if err != nil {
		return p.site.URL
	}
	webhook, err := url.Parse(configured)
	if err != nil {
		return p.site.URL
	}
	host := webhook.Hostname()
	if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
		host = page.Hostname()
	}
	address := host
	if port := webhook.Port(); port != "" {
		address = net.JoinHostPort(host, port)
	}
	return webhook.Scheme + "://" + address
}

// resumeCommand is the line that ends a suspension.
func resumeCommand(base, server string) string {
	address := base + "/-/resume?server=" + url.QueryEscape(server)
	return `curl --fail -X POST -H "Authorization: Bearer $TOKEN" '` + strings.ReplaceAll(address, "'", `'\''`) + "'"
}

// parsePID reads a pid as sessionPath writes it.
func parsePID(s string) (int32, bool) {
	pid, err := strconv.ParseInt(s, 10, 32)
	return int32(pid), err == nil && pid > 0 && strconv.FormatInt(pid, 10) == s
}
