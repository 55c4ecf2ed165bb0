//go:build heavy

package remediation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// TestKilledWhileOrdersWaitForAPerson kills the whole program with SIGKILL while
// alerts ask and persons approve, three at a time. Then it compares what the
// sessions saw, what the ledger says, and what the persons were told.
func TestKilledWhileOrdersWaitForAPerson(t *testing.T) {
	const enough = 40
	srv := pgtest.Start(t)
	w := newTargets(t, srv)
	p := newProgram(t, srv)
	var told personsTold
	kills, waited := 0, 0
	for ; kills < enough || kills < 5*enough && !p.questions(t).prove(); kills++ {
		p.startAsking(t)
		if _, err := p.waiting(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := p.questions(t)
		waiting, _ := p.waiting(t.Context())
		if want := before.waiting(); !slices.Equal(waiting, want) {
			t.Errorf("after the start there wait %v, want %v", waiting, want)
		}
		waited += len(waiting)
		ctx, cancel := context.WithCancel(t.Context())
		answered := make(chan struct{})
		first := sync.OnceFunc(func() { close(answered) })
		var all sync.WaitGroup
		for _, eyes := range w.eyes {
			all.Go(func() {
				for ctx.Err() == nil {
					p.post(ctx, w.alerts(t.Context(), eyes, 6), func() {})
				}
			})
			all.Go(func() {
				for ctx.Err() == nil {
					ids, _ := p.waiting(ctx)
					if len(ids) > 3 { // some wait until the next start
						p.answer(ctx, ids[rand.N(len(ids)-3)], &told)
						first()
					}
				}
			})
		}
		<-answered
		<-time.After(rand.N(crashLater))
		p.kill()
		cancel()
		all.Wait()
	}
	p.startAsking(t) // and writes what is missing
	p.kill()

	q := p.questions(t)
	total := 0
	for query, n := range w.snapshot() {
		if total += n; n > q.intents[query] {
			t.Errorf("%q was hit %d times, with %d intents", query, n, q.intents[query])
		}
	}
	for id, outcomes := range told.outcomes {
		if len(outcomes) != 1 || outcomes[0] != q.outcomes[id] {
			t.Errorf("the persons who answered %s were told %v, the ledger says %s", id, outcomes, q.outcomes[id])
		}
	}
	for id := range q.approved {
		if q.outcomes[id] == "" {
			t.Errorf("nothing came of the approval %s", id)
		}
	}
	t.Logf("%d kills: %d asked, %d approved, %d of them cut off, %d denied, %d hits, %d answers, %d waited over a start",
		kills, len(q.asked), len(q.approved), q.cutOff(), len(q.denied), total, len(told.outcomes), waited)
	if waited < enough || total < enough || !q.prove() {
		t.Error("this proves little")
	}
}

// startAsking runs the program with a rule that wants a person for everything.
func (p *program) startAsking(t *testing.T) {
	t.Helper()
	writeFile(t, filepath.Join(p.dir, "pgbailiff.yml"), fmt.Sprintf(`
servers: [{name: orders, dsn: %q}]
collector: {query_text: full}
webhook: {credentials_file: token}
people: {operators: ["*"], user_header: X-Forwarded-User, trusted_proxies: [127.0.0.1]}
remediation:
  mode: enforce
  verify_timeout: 30ms
  rules: [{name: ask, matchers: ['usename="app"'], action: cancel, approval: required}]
  limits: {actions: 1000000000, window: 1h, suspend_after: 1000000000, suspend_window: 1h}
  ledger: {file: %q}
`, p.dsn, p.ledger()))
	p.process = proctest.Start(t, proctest.Command{
		Path: p.path, Dir: p.dir, Args: []string{"--config.file=pgbailiff.yml", "--web.listen-address=127.0.0.1:0"},
	})
	p.address = p.process.Address()
}

// waiting are the IDs of what waits for a person, sorted.
func (p *program) waiting(ctx context.Context) ([]string, error) {
	reply, err := proctest.Fetch(ctx, http.MethodGet, "http://"+p.address+"/api/v1/approvals", nil)
	if err != nil {
		return nil, err
	}
	var list struct {
		Approvals []struct{ ID string }
	}
	if err := json.Unmarshal([]byte(reply.Body), &list); err != nil {
		return nil, fmt.Errorf("%d %s: %w", reply.Status, reply.Body, err)
	}
	var ids []string
	for _, q := range list.Approvals {
		ids = append(ids, q.ID)
	}
	slices.Sort(ids)
	return ids, nil
}

// answer lets three persons answer at once. One of them denies, a few times in
// all: a denial holds for as long as the statement runs.
func (p *program) answer(ctx context.Context, id string, told *personsTold) {
	var all sync.WaitGroup
	for i := range 3 {
		decision := "approve"
		if i == 2 && rand.N(10) == 0 && told.denials.Load() < 4 {
			decision = "deny"
		}
		all.Go(func() {
			reply, err := proctest.Fetch(ctx, http.MethodPost, "http://"+p.address+"/api/v1/approvals/"+id,
				strings.NewReader(fmt.Sprintf(`{"decision": %q, "comment": "go on"}`, decision)),
				"Content-Type: application/json", fmt.Sprintf("X-Forwarded-User: ann%d", i))
			var got struct{ ID, Outcome string }
			if err == nil && json.Unmarshal([]byte(reply.Body), &got) == nil && got.Outcome != "" {
				told.add(got.ID, got.Outcome)
				if decision == "deny" {
					told.denials.Add(1)
				}
			}
		})
	}
	all.Wait()
}

// personsTold are the outcomes that persons were told, by the ID of the question.
type personsTold struct {
	denials  atomic.Int32 // that came first
	mu       sync.Mutex
	outcomes map[string][]string
}

func (p *personsTold) add(id, outcome string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.outcomes == nil {
		p.outcomes = map[string][]string{}
	}
	p.outcomes[id] = append(p.outcomes[id], outcome)
}

// questions are what the ledger's lines say, by the ID of the question.
type questions struct {
	asked, approved, denied map[string]bool
	outcomes, details       map[string]string
	intents                 map[string]int // by statement
}

// waiting are the IDs of those that were not answered, sorted.
func (q questions) waiting() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(q.asked)), func(id string) bool { return q.approved[id] || q.denied[id] })
}

// prove reports whether what the test is about has happened at all.
func (q questions) prove() bool { return q.cutOff() > 0 && len(q.denied) > 0 }

// cutOff is how many approvals a kill has cut off before anything came of them.
func (q questions) cutOff() (n int) {
	for _, detail := range q.details {
		if strings.HasPrefix(detail, "pgbailiff stopped") {
			n++
		}
	}
	return n
}

// questions reads the lines of the file, without the ledger's own code, and checks
// their order.
func (p *program) questions(t *testing.T) questions {
	t.Helper()
	q := questions{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]string{}, map[string]string{}, map[string]int{}}
	open, intents := map[string]string{}, map[string]bool{}
	for line := range bytes.Lines(p.lines(t)) {
		var e ledger.Entry
		if json.Unmarshal(line, &e) != nil {
			continue // torn
		}
		identity, id := fmt.Sprint(e.PID, e.BackendStart, e.QueryStart), e.Decision
		bad := false
		switch e.Event {
		case ledger.EventAsked:
			bad = q.asked[id] || open[identity] != "" || id != e.ID || e.By != ""
			q.asked[id], open[identity] = true, id
		case ledger.EventApproved, ledger.EventDenied:
			bad = open[identity] != id || id != e.ID || e.By == "" || e.Comment != "go on"
			delete(open, identity)
			if q.approved[id] = e.Event == ledger.EventApproved; !q.approved[id] {
				delete(q.approved, id)
				q.denied[id], q.outcomes[id] = true, "refused"
			}
		case ledger.EventIntent:
			bad = !q.approved[id] || q.outcomes[id] != "" || intents[id] || e.By == ""
			intents[id] = true
			q.intents[e.Query]++
		case ledger.EventOutcome:
			if !q.asked[id] {
				bad = e.Outcome != ledger.Gone && e.Reason != "denied"
				break
			}
			bad = !q.approved[id] || q.outcomes[id] != "" || e.By == ""
			q.outcomes[id], q.details[id] = string(e.Outcome), e.Detail
		default:
			bad = true
		}
		if bad {
			t.Errorf("this line comes out of order: %s", line)
		}
	}
	return q
}
