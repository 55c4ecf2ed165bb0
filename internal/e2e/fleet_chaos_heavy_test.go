//go:build heavy

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// The chaos: so many alerts about sessions of so many server names over so many
// servers, of which so many are alive at a time.
const (
	chaosAlerts  = 1000
	chaosNames   = 40
	chaosServers = 3
	chaosAlive   = 250
	chaosTick    = 200 * time.Millisecond
	// chaosPace is how many sessions come in a second, so that the chaos lasts.
	chaosPace = 16

	chaosActions, chaosWindow = 4, 3 * time.Second
	// chaosSuspend is more than any name needs, takeovers included, but the one that
	// is to be suspended: about so many sessions are there.
	chaosSuspend, chaosTripping = 60, 70
)

var chaosConfig = fmt.Sprintf(`
  grace: 2s
  verify_timeout: 3s
  limits: {actions: %d, window: %s, suspend_after: %d, suspend_window: 1h}`, chaosActions, chaosWindow, chaosSuspend) + fleetRules

// chaos is a fleet, what it watches, and what happens to both.
type chaos struct {
	*fleet
	t             *testing.T
	rand          *rand.Rand
	watched       []*pgtest.Server
	eyes          []*pgx.Conn // one on each
	names         []string
	alertmanagers []string
	recorders     []*recorder

	victims  []*victim
	alerts   int
	began    time.Time
	told     time.Time // how far it is
	killed   time.Time // when a replica was killed last
	last     *replica  // that one
	kills    int
	quiet    bool // no replica is killed any more
	restored func()
	until    time.Time // when restored is due
	outages  int
}

// TestChaos: whatever is killed and stopped meanwhile, each session that is to be
// ended is, by one signal a step, within the budget of all replicas, and
// everything is on record.
func TestChaos(t *testing.T) {
	c := startChaos(t)
	trip := c.names[chaosNames-1]
	spared := c.bystanders()

	for ticker := time.NewTicker(chaosTick); c.alerts < chaosAlerts; <-ticker.C {
		c.pulse()
		c.more()
		c.look()
	}
	c.quiet = true
	t.Logf("%d sessions after %s, %d kills; %d of them go on", len(c.victims), time.Since(c.began), c.kills, c.left(""))
	// What a killed replica had begun is taken over when its time is over.
	c.await("all to end but those of the suspended server", func() int { return c.left("") - c.left(trip) }, 0)

	c.closeBooks()
	c.eachShows(fmt.Sprintf(`pgbailiff_remediation_suspended{server=%q}`, trip), "1")
	c.expectSuspended(trip)
	left := c.left(trip)
	if left == 0 {
		t.Error("all sessions of the suspended server were ended")
	}
	c.judge(spared)

	c.ask(c.replicas[0].url()+"/-/resume?server="+trip, "")
	c.eachShows(fmt.Sprintf(`pgbailiff_remediation_suspended{server=%q}`, trip), "0")
	c.await("the sessions of the resumed server to end", func() int { return c.left("") }, 0)
	c.closeBooks()
	c.judge(spared)
	for _, r := range c.recorders {
		status, results := r.answered()
		t.Logf("answers: %s, %d results", status, len(results))
	}
	t.Logf("in all %s, %d kills, %d left when it was suspended", time.Since(c.began), c.kills, left)
}

func startChaos(t *testing.T) *chaos {
	seed := uint64(time.Now().UnixNano())
	if fixed, err := strconv.ParseUint(os.Getenv("PGBAILIFF_TEST_SEED"), 10, 64); err == nil {
		seed = fixed
	}
	t.Logf("PGBAILIFF_TEST_SEED=%d", seed)
	c := &chaos{t: t, rand: rand.New(rand.NewPCG(seed, seed)), restored: func() {}}
	for range chaosServers {
		srv := pgtest.Start(t, "max_connections=700")
		c.watched = append(c.watched, srv)
		c.eyes = append(c.eyes, srv.Connect(t, "postgres"))
	}
	var servers strings.Builder
	servers.WriteString("servers:\n")
	for i := range chaosNames {
		c.names = append(c.names, fmt.Sprintf("server%02d", i))
		fmt.Fprintf(&servers, "  - {name: %s, dsn: %q}\n", c.names[i], c.watched[i%chaosServers].DSN("monsig"))
	}
	c.fleet = newFleet(t, 3, servers.String(), chaosConfig)
	c.start()
	c.recorders = []*recorder{startRecorder(t, c.url), startRecorder(t, c.url)}
	c.alertmanagers = startAlertmanagers(t, 5*time.Second, c.recorders[0].url, c.recorders[1].url)
	c.began, c.killed, c.last = time.Now(), time.Now(), c.replicas[0]
	return c
}

// bystanders are sessions that nothing may happen to: on each server one that no
// alert is about, and one that has gone on to another statement than that which
// its alert names.
func (c *chaos) bystanders() (all []*pgtest.Client) {
	c.t.Helper()
	for i, srv := range c.watched {
		all = append(all, srv.Run(c.t, "app", "select pg_sleep(3600)", pgtest.AppName("runaway")))
		moved := newVictim(c.t, srv, c.names[i], victimKind{application: "runaway", severities: []string{"warning", "critical"}, sql: "select pg_sleep(0.5)"})
		moved.Start(c.t, "select pg_sleep(3600)")
		fire(c.t, c.alertmanagers, moved.alerts...)
		all = append(all, moved.Client)
	}
	return all
}

// more opens a few sessions, if it is time, and sends the alerts about them.
func (c *chaos) more() {
	c.t.Helper()
	due := int(time.Since(c.began).Seconds() * chaosPace)
	var alerts []sentAlert
	for range 10 {
		if c.alerts >= chaosAlerts || len(c.victims) >= due || c.left("") >= chaosAlive {
			break
		}
		n := len(c.victims)
		name, kind := n%(chaosNames-1), victimKinds[c.rand.IntN(len(victimKinds))]
		if n%12 == 11 && n/12 < chaosTripping {
			name, kind = chaosNames-1, victimKinds[c.rand.IntN(3)] // of one signal
		}
		v := newVictim(c.t, c.watched[name%chaosServers], c.names[name], kind)
		c.victims = append(c.victims, v)
		c.alerts += len(v.alerts)
		alerts = append(alerts, v.alerts...)
	}
	fire(c.t, c.alertmanagers, alerts...)
}

// pulse kills a replica every second and starts it again, unless the machine is too
// slow for the last one to be ready by then. It stops the ledger's
// database once, and halts it once.
func (c *chaos) pulse() {
	c.t.Helper()
	if !c.until.IsZero() && time.Now().After(c.until) {
		c.restored()
		c.until = time.Time{}
	}
	switch {
	case !c.until.IsZero():
	case c.outages == 0 && c.alerts > chaosAlerts/3:
		c.outages++
		c.t.Logf("%s: the ledger's database stops", time.Since(c.began))
		c.ledger.Stop(c.t)
		c.restored, c.until = func() { c.ledger.Restart(c.t) }, time.Now().Add(3*time.Second)
	case c.outages == 1 && c.alerts > chaosAlerts*2/3:
		c.outages++
		c.t.Logf("%s: the ledger's database is halted", time.Since(c.began))
		c.restored, c.until = c.ledger.Halt(c.t), time.Now().Add(5*time.Second)
	}
	if !c.quiet && time.Since(c.killed) >= time.Second && c.last.ready() {
		c.last = c.replicas[c.rand.IntN(len(c.replicas))]
		c.last.process.Kill()
		c.last.start()
		c.kills++
		c.killed = time.Now()
	}
}

// look notes which sessions have ended. One that was cancelled goes on with
// another statement, which a second signal would hit. A while later Alertmanager
// is told that the alerts are resolved.
func (c *chaos) look() {
	c.t.Helper()
	pids := map[*pgtest.Server][]int{}
	for _, v := range c.victims {
		if v.over.IsZero() {
			pids[v.srv] = append(pids[v.srv], v.PID())
		}
	}
	doing := map[*pgtest.Server]map[int]activity{}
	for i, srv := range c.watched {
		doing[srv] = lookAt(c.t, c.eyes[i], pids[srv])
	}
	var resolved []sentAlert
	for _, v := range c.victims {
		switch {
		case v.over.IsZero():
			v.look(doing[v.srv])
		case v.survives && !v.goesOn && time.Since(v.over) > time.Second:
			v.goesOn = true
			v.Start(c.t, "select pg_sleep(3600)")
		case !v.resolved && time.Since(v.over) > 7*time.Second:
			v.resolved = true
			for _, a := range v.alerts {
				a.EndsAt = time.Now()
				resolved = append(resolved, a)
			}
		}
	}
	fire(c.t, c.alertmanagers, resolved...)
	if time.Since(c.told) > 10*time.Second {
		c.told = time.Now()
		c.t.Logf("%3.0f s: %d sessions, %d of them go on; %d kills", time.Since(c.began).Seconds(), len(c.victims), c.left(""), c.kills)
	}
}

// left is how many sessions of a server, or of all, have not ended.
func (c *chaos) left(server string) (n int) {
	for _, v := range c.victims {
		if v.over.IsZero() && (server == "" || v.server == server) {
			n++
		}
	}
	return n
}

// await lets time go on until a count is what it must be.
func (c *chaos) await(what string, count func() int, want int) {
	c.t.Helper()
	deadline := time.Now().Add(2 * proctest.Patience)
	for ticker := time.NewTicker(chaosTick); ; <-ticker.C {
		c.pulse()
		c.look()
		got := count()
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			for _, v := range c.victims {
				if v.over.IsZero() {
					c.t.Logf("%s %s of %s goes on: it has met %+v\n%s", v.kind.application, v.Client, v.server,
						hitsIn(v.srv)[v.sessionID], c.record(c.t, v.PID()))
				}
			}
			c.t.Fatalf("waiting for %s: %d, not %d", what, got, want)
		}
	}
}
