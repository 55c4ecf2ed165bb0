//go:build heavy

package remediation_test

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/session"
	"github.com/pgbailiff/pgbailiff/webhook"
)

// crashes is how often the program is killed, each time at a random instant of
// the time after the first alert.
const (
	crashes    = 100
	crashLater = 150 * time.Millisecond
)

// TestKilledBetweenIntentAndOutcome kills the whole program with SIGKILL under a
// stream of alerts. Then it compares what the sessions saw, what the ledger says,
// and what the answers said.
func TestKilledBetweenIntentAndOutcome(t *testing.T) {
	srv := pgtest.Start(t)
	w := newTargets(t, srv)
	p := newProgram(t, srv)
	var answered answers
	for range crashes {
		p.start(t, 1<<30)
		posted, stop := make(chan struct{}), make(chan struct{})
		var posters sync.WaitGroup
		first := sync.OnceFunc(func() { close(posted) })
		for _, eyes := range w.eyes {
			posters.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						answered.collect(p.post(t.Context(), w.alerts(t.Context(), eyes, 6), first))
					}
				}
			})
		}
		<-posted
		<-time.After(rand.N(crashLater))
		p.kill()
		close(stop)
		posters.Wait()
	}
	lines := p.lines(t)
	story := readStory(t, lines)
	hits := w.snapshot()
	total := 0
	for query, n := range hits {
		if total += n; n > story.intents[query] {
			t.Errorf("%q was hit %d times, with %d intents", query, n, story.intents[query])
		}
	}
	for _, a := range answered.all {
		if story.outcomes[a.alertname] != a.Outcome {
			t.Errorf("the answer to %s was %s, the ledger says %q", a.alertname, a.Outcome, story.outcomes[a.alertname])
		}
	}
	if story.torn > crashes {
		t.Errorf("%d lines are not whole after %d crashes", story.torn, crashes)
	}
	t.Logf("%d crashes: %d hits, %d intents, %d of them cut off, %d answers, %d torn lines",
		crashes, total, len(story.open)+story.closed, story.cutOff, len(answered.all), story.torn)
	if story.cutOff < crashes/10 || total < crashes || len(answered.all) < crashes/10 {
		t.Error("this proves little")
	}

	// The budget after the next start is what the ledger says.
	spent := p.spent(t)
	if spent != story.spent {
		t.Errorf("the ledger counts %d signals, its lines say %d", spent, story.spent)
	}
	const left = 3
	p.start(t, spent+left)
	defer p.kill()
	after := map[string]int{}
	for tries := 0; after["refused"] == 0 && tries < 100; tries++ {
		for _, a := range p.post(t.Context(), w.alerts(t.Context(), w.eyes[0], 2*left), func() {}) {
			after[strings.TrimSpace(a.Outcome+" "+a.Reason)]++
			after[a.Outcome]++
		}
	}
	if now := p.spent(t); now != spent+left || after["refused over_budget"] != after["refused"] {
		t.Errorf("%d signals were left, and then %d were sent; outcomes %v", left, now-spent, after)
	}
}

func TestBadRuleEndsFewOfManySessions(t *testing.T) { badRule(t, 500) }

// programAnswer is the result of one alert, which has a name of its own.
type programAnswer struct {
	webhook.Result
	alertname string
}

type answers struct {
	mu  sync.Mutex
	all []programAnswer
}

func (a *answers) collect(more []programAnswer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, more...)
}

// story is what the ledger's lines say.
type story struct {
	intents  map[string]int    // by statement
	outcomes map[string]string // by alert
	open     map[string]bool   // IDs of intents without an outcome
	closed   int
	cutOff   int // written down as failed by the next start
	spent    int
	torn     int
}

// readStory reads the lines of the file, without the ledger's own code.
func readStory(t *testing.T, text []byte) story {
	t.Helper()
	s := story{intents: map[string]int{}, outcomes: map[string]string{}, open: map[string]bool{}}
	identities := map[string]string{}
	for line := range bytes.Lines(text) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var e ledger.Entry
		if err := json.Unmarshal(line, &e); err != nil {
			s.torn++
			continue
		}
		switch e.Event {
		case ledger.EventIntent:
			if e.ID == "" || s.open[e.ID] {
				t.Errorf("an intent of ID %q: %s", e.ID, line)
			}
			s.open[e.ID] = true
			s.intents[e.Query]++
			s.spent++
			identity := fmt.Sprint(e.PID, e.BackendStart, e.QueryStart)
			if was, known := identities[e.Query]; known && was != identity {
				t.Errorf("%q is %s and %s", e.Query, was, identity)
			}
			identities[e.Query] = identity
		case ledger.EventOutcome:
			s.outcomes[e.Alertname] = string(e.Outcome)
			if e.ID == "" {
				continue
			}
			if !s.open[e.ID] {
				t.Errorf("an outcome without its intent: %s", line)
			}
			delete(s.open, e.ID)
			s.closed++
			if e.Outcome == ledger.Failed && strings.HasPrefix(e.Detail, "pgbailiff stopped") {
				s.cutOff++
			}
			if !e.Signalled {
				s.spent--
			}
		default:
			t.Errorf("unexpected line %s", line)
		}
	}
	return s
}

// targets are sessions that count how often each of their statements was hit. Half
// of the statements end, and another one follows; half of them stay.
type targets struct {
	eyes []*pgx.Conn // of each poster

	mu   sync.Mutex
	hits map[string]int // by statement
}

func newTargets(t *testing.T, srv *pgtest.Server) *targets {
	w := &targets{hits: map[string]int{}}
	for range 3 {
		w.eyes = append(w.eyes, srv.Connect(t, "mon"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range 16 {
		format := "select /* %d/%d */ pg_sleep(600)"
		if i%2 == 1 {
			format = `do $$ begin /* %d/%d */ loop begin perform pg_sleep(600);
				exception when query_canceled then raise notice 'hit'; end; end loop; end $$`
		}
		var query string
		conn := srv.Connect(t, "app", pgtest.AppName("target"), func(c *pgx.ConnConfig) {
			c.OnNotice = func(*pgconn.PgConn, *pgconn.Notice) { w.hit(query) }
		})
		all.Go(func() {
			for n := 0; ; n++ {
				query = fmt.Sprintf(format, i, n)
				_, err := conn.PgConn().Exec(ctx, query).ReadAll()
				if sqlstate(err) != "57014" {
					return // the test is over
				}
				w.hit(query)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		all.Wait()
	})
	return w
}

func (w *targets) hit(query string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hits[query]++
}

func (w *targets) snapshot() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.hits)
}

// alerts names at most n statements that run now, each alert by a name of its
// own. It returns none when the context has ended.
func (w *targets) alerts(ctx context.Context, eyes *pgx.Conn, n int) []labels {
	rows, err := eyes.Query(ctx, `select pid, backend_start, query_start from pg_stat_activity
		where application_name = 'target' and state = 'active' order by random() limit $1`, n)
	if err != nil {
		return nil
	}
	all, _ := pgx.CollectRows(rows, func(row pgx.CollectableRow) (labels, error) {
		var pid int
		var backendStart, queryStart time.Time
		err := row.Scan(&pid, &backendStart, &queryStart)
		return labels{
			"alertname": crand.Text(), "severity": "warning", "pid": strconv.Itoa(pid),
			"backend_start": session.FormatTime(backendStart), "query_start": session.FormatTime(queryStart),
		}, err
	})
	return all
}
