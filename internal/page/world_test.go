package page_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/go-kit/log"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/page"
	"github.com/pgbailiff/pgbailiff/internal/policy"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// world is everything that the pages are made from, as values of one moment.
type world struct {
	page.Site
	Servers   []page.Server
	Plain     []session.Session // that no snapshot names: idle ones
	Decisions []ledger.Entry
	Waiting   []ledger.Entry // for a person
	Now       time.Time
	Person    page.Person
	Policy    *policy.Policy
	Preview   func(context.Context, session.Session, map[string]string) remediation.Preview
	FindErr   error
	Down      bool                // the ledger
	Sudden    remediation.Preview // of orders by hand, where not the policy decides
}

// orders takes what the pages order, and answers with Result and Err.
type orders struct {
	world
	Result remediation.Result
	Err    error

	mu       sync.Mutex // guards the rest
	ordered  []remediation.Request
	read     []int // how many servers, each time
	thoughts []string
	answers  []string // approve or deny, the id, who, and the comment
}

// think notes when a page is made of what was read.
func (o *orders) think() (made func()) {
	o.note("begins after " + fmt.Sprint(len(o.read)))
	return func() { o.note("made") }
}

func (o *orders) note(thought string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.thoughts = append(o.thoughts, thought)
}

func (o *orders) Approvals() []ledger.Entry { return o.Waiting }

func (o *orders) Approve(_ context.Context, id, by, comment string) (remediation.Result, error) {
	return o.answer("approve", id, by, comment)
}

func (o *orders) Deny(_ context.Context, id, by, comment string) (remediation.Result, error) {
	return o.answer("deny", id, by, comment)
}

func (o *orders) answer(answer ...string) (remediation.Result, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answers = append(o.answers, strings.Join(answer, " "))
	return o.Result, o.Err
}

func (o *orders) Remediate(ctx context.Context, req remediation.Request) remediation.Result {
	o.mu.Lock()
	defer o.mu.Unlock()
	if ctx.Done() != nil {
		panic("the order ends when the client hangs up")
	}
	o.ordered = append(o.ordered, req)
	return o.Result
}

func (o *orders) Preview(ctx context.Context, req remediation.Request) remediation.Preview {
	s, ok := o.session(req.Fence.Server, req.Fence.PID)
	switch {
	case !ok:
		return remediation.Preview{Outcome: ledger.Gone, Detail: "no session has this pid"}
	case req.Source == remediation.SourceAlert:
		return o.world.Preview(ctx, s, req.Labels)
	}
	if o.Sudden.Outcome != "" {
		return o.Sudden
	}
	return previewOf(o.Policy.DecideOrder(req.Order, subject(s)))
}

// session looks for a session in all places.
func (w world) session(server string, pid int32) (session.Session, bool) {
	is := func(s *session.Session) bool { return s.PID == pid && (s.Server == server || s.Server == "") }
	for _, s := range w.Servers {
		for i := range s.Snapshot.Sessions {
			if a := &s.Snapshot.Sessions[i].Session; is(a) {
				return *a, true
			}
		}
		for i := range s.Snapshot.LockWaits {
			if l := &s.Snapshot.LockWaits[i].Session; is(l) {
				return *l, true
			}
		}
		for i := range s.Snapshot.Blockers {
			if b := &s.Snapshot.Blockers[i].Session; is(b) {
				return *b, true
			}
		}
	}
	for i := range w.Plain {
		if is(&w.Plain[i]) {
			return w.Plain[i], true
		}
	}
	return session.Session{}, false
}

// handler serves all pages, below the path of the world's URL and at the root.
func handler(w world) http.Handler { return (&orders{world: w}).handler() }

func (o *orders) handler() http.Handler {
	p := page.New(o.Site, page.Source{
		Orders: o,
		Person: func(*http.Request) page.Person { return o.Person },
		Names: func() (names []string) {
			for _, s := range o.Servers {
				names = append(names, s.Name)
			}
			return names
		},
		Servers: func(_ context.Context, names []string) (servers []page.Server) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.read = append(o.read, len(names))
			if len(names) == len(o.Servers) { // they may all have the same hostile name
				return o.Servers
			}
			for _, name := range names {
				servers = append(servers, o.Servers[slices.IndexFunc(o.Servers, func(s page.Server) bool { return s.Name == name })])
			}
			return servers
		},
		Known: func(server string) bool {
			return slices.ContainsFunc(o.Servers, func(s page.Server) bool { return s.Name == server })
		},
		Find: func(_ context.Context, server string, pid int32) (session.Found, bool, error) {
			s, ok := o.session(server, pid)
			return session.Found{Session: s, SeenAt: o.Now}, ok, o.FindErr
		},
		Recent: func(n int) []ledger.Entry { return slices.Clone(o.Decisions[:min(n, len(o.Decisions))]) },
		Suspended: func() (names []string) {
			for _, s := range o.Servers {
				if s.Suspended {
					names = append(names, s.Name)
				}
			}
			return names
		},
		Think:    func(context.Context) func() { return o.think() },
		LedgerUp: func() bool { return !o.Down },
		Now:      func() time.Time { return o.Now },
	}, log.NewNopLogger())
	return routes(p)
}

func routes(p *page.Pages) http.Handler {
	const one = "/sessions/{server}/{pid}/{backend_start}"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.Index)
	mux.HandleFunc("GET "+one, p.Session)
	mux.HandleFunc("GET "+one+"/confirm", p.Confirm)
	mux.HandleFunc("POST "+one+"/confirm", p.Act)
	mux.HandleFunc("GET /approvals", p.Approvals)
	mux.HandleFunc("POST /approvals/{id}", p.Answer)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/pg/") {
			http.StripPrefix("/pg", mux).ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func subject(s session.Session) policy.Subject {
	return policy.NewSubject(session.Found{Session: s, Own: session.No, Superuser: session.FactOf(s.Usename == "postgres")})
}

// preview decides about sessions of which everything is known; postgres is the
// superuser.
func preview(t testing.TB) func(context.Context, session.Session, map[string]string) remediation.Preview {
	p := newPolicy(t)
	return func(_ context.Context, s session.Session, labels map[string]string) remediation.Preview {
		return previewOf(p.Decide(labels, subject(s)))
	}
}

func previewOf(d policy.Decision) remediation.Preview {
	preview := remediation.Preview{
		Action: d.Action, First: d.First, Outcome: ledger.DryRun, Reason: d.Reason, Rule: d.Rule, Detail: d.Detail, Approval: d.Approval,
	}
	if d.Refused() {
		preview.Outcome = ledger.Refused
	}
	return preview
}

// everyPage is the HTML of each kind of page in this world, by what it shows.
func everyPage(t *testing.T, w world) map[string]string {
	t.Helper()
	all := map[string]string{}
	maps.Copy(all, thesePages(t, w, slices.Collect(maps.Keys(paths(w)))...))
	value := w.Servers[0].Name
	o := &orders{world: w, Result: remediation.Result{
		Server: value, PID: 7, Action: policy.Cancel, Outcome: ledger.Refused, Reason: policy.ReasonProtectedUser,
		Rule: value, Detail: value, Decision: value, By: value,
	}}
	form := url.Values{"action": {"cancel"}, "comment": {comment(value)}, "query_start": {"2026-11-22T09:55:43.000000Z"}}
	outcome := post(t, o.handler(), paths(w)["running"]+"/confirm", form)
	if all["outcome"] = outcome.body; outcome.status != http.StatusConflict {
		t.Errorf("an order that is refused has the status %d", outcome.status)
	}
	all["approved"] = post(t, o.handler(), "/approvals/7", url.Values{"decision": {"approve"}, "comment": {comment(value)}}).body
	o.Err = ledger.ErrAnswered
	all["answered"] = post(t, o.handler(), "/approvals/7", url.Values{"decision": {"deny"}}).body
	return all
}

// comment is as much of a value as a comment may have.
func comment(value string) string {
	value = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(value, ""))
	return string([]rune(value)[:min(1000, len([]rune(value)))])
}

// thesePages is the HTML of some of the pages that are read.
func thesePages(t *testing.T, w world, names ...string) map[string]string {
	t.Helper()
	all, h := map[string]string{}, handler(w)
	for _, name := range names {
		all[name] = get(t, h, paths(w)[name]).body
	}
	return all
}

// paths are addresses of all pages that are read.
func paths(w world) map[string]string {
	one := func(server int, pid int, start string) string {
		return fmt.Sprintf("/sessions/%s/%d/%s", url.PathEscape(w.Servers[server].Name), pid, start)
	}
	const start = "2026-11-22T08:05:54.000000Z"
	return map[string]string{
		"index": "/", "approvals": "/approvals", "filtered": "/?state=active&user=" + url.QueryEscape(w.Servers[0].Name),
		"running": one(0, 19377, start), "waiting": one(0, 22035, start), "holder": one(0, 21804, start), "leaked": one(0, 4711, start),
		"gone": one(0, 23117, start), "unreachable": one(3, 1, start),
		"malformed": one(0, 19377, "now"), "unknown": "/sessions/nowhere/1/" + start,
		"cancel": one(0, 19377, start) + "/confirm?action=cancel", "terminate": one(0, 21804, start) + "/confirm?action=terminate",
		"protected": one(1, 902, start) + "/confirm?action=cancel-then-terminate", "no statement": one(0, 4711, start) + "/confirm?action=cancel",
	}
}
