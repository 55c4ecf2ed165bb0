package e2e

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// hundred is a replica with a hundred server names: one of a server that will
// hang, and the others of a server with a session for each name.
type hundred struct {
	*fleet
	hung     *pgtest.Server
	sleeper  *pgtest.Client // a session on it
	alert    labels         // about that
	sessions []target
}

func startHundred(t testing.TB) *hundred {
	t.Helper()
	h := &hundred{hung: pgtest.Start(t)}
	others := pgtest.Start(t, "max_connections=400")
	var servers strings.Builder
	fmt.Fprintf(&servers, "servers:\n  - {name: hung, dsn: %q}\n", h.hung.DSN("monsig"))
	for i := range 99 {
		name := fmt.Sprintf("server%02d", i)
		fmt.Fprintf(&servers, "  - {name: %s, dsn: %q}\n", name, others.DSN("monsig"))
		h.sessions = append(h.sessions, target{others.Open(t, "app"), name})
	}
	h.fleet = newFleet(t, 1, servers.String(), fleetLimits)
	h.sleeper = h.hung.Run(t, "app", "select pg_sleep(3600)")
	h.alert = identity("hung", h.sleeper.Activity(t), labels{"severity": "warning"})
	h.start()
	h.awaitHung()
	return h
}

// awaitHung waits until the replica reaches the server that hangs at times.
func (h *hundred) awaitHung() {
	h.t.Helper()
	proctest.Eventually(h.t, "the server to be reached", func() error {
		text, err := proctest.Get(h.t, h.replicas[0].url()+"/probe?server=hung")
		if err == nil && !strings.Contains(text, `pgbailiff_up{server="hung"} 1`) {
			err = fmt.Errorf("it is not up")
		}
		return err
	})
}

// flood sends messages with alerts about the server that hangs, so many in all,
// and returns when they have arrived. The function that it returns waits for the
// answers, and looks at each status and its results.
func (h *hundred) flood(alerts int) (wait func(answered func(status int, results []result))) {
	h.t.Helper()
	const each = 100
	type answer struct {
		status  int
		results []result
		err     error
	}
	answers := make(chan answer, alerts/each)
	before := h.alertsReceived()
	for n := range alerts / each {
		var message []labels
		for i := range each {
			alert := maps.Clone(h.alert) // half of them about the one session
			if i%2 == 1 {
				alert["pid"] = strconv.Itoa(1e6 + n*each + i)
			}
			alert["alertname"] = fmt.Sprint("LongQuery", i)
			message = append(message, alert)
		}
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(h.t.Context()), 3*proctest.Patience)
			defer cancel()
			over := &http.Transport{DisableKeepAlives: true}
			results, status, err := post(ctx, over, h.replicas[0].url(), message...)
			answers <- answer{status, results, err}
		}()
	}
	proctest.Eventually(h.t, "the alerts to arrive", func() error {
		if got := h.alertsReceived() - before; got < alerts {
			return fmt.Errorf("%d have", got)
		}
		return nil
	})
	return func(answered func(int, []result)) {
		h.t.Helper()
		for range cap(answers) {
			select {
			case a := <-answers:
				if a.err != nil {
					h.t.Fatal(a.err)
				}
				if answered != nil {
					answered(a.status, a.results)
				}
			case <-time.After(3 * proctest.Patience):
				h.t.Fatal("the alerts about the server that hangs are not answered")
			}
		}
	}
}

// alertsReceived is how many alerts the replica has received.
func (h *hundred) alertsReceived() int {
	h.t.Helper()
	n, err := strconv.Atoi(h.replicas[0].metric(`pgbailiff_webhook_alerts_total{status="firing"}`))
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}
