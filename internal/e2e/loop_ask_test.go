package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// ending waits for the end of a session's statement and returns its SQLSTATE.
func (l *loop) ending(c *pgtest.Client) string {
	l.t.Helper()
	select {
	case <-c.Done():
	case <-time.After(2 * proctest.Patience):
		l.t.Fatalf("nothing has ended the statement of %s", c)
	}
	return sqlstate(c.Wait(l.t))
}

// appsLog is what PostgreSQL has logged of the sessions of app.
func (l *loop) appsLog() string {
	var lines strings.Builder
	for line := range strings.Lines(l.orders.Log()) {
		if strings.Contains(line, " app@postgres ") {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

// silence makes the silence that Alertmanager's page proposes for the session's
// alert.
func (l *loop) silence(c *pgtest.Client) (id string) {
	l.t.Helper()
	type matcher struct {
		Name    string `json:"name"`
		Value   string `json:"value"`
		IsRegex bool   `json:"isRegex"`
		IsEqual bool   `json:"isEqual"`
	}
	started := c.Activity(l.t).BackendStart
	body, err := json.Marshal(map[string]any{
		"matchers": []matcher{
			{Name: "pid", Value: strconv.Itoa(c.PID()), IsEqual: true},
			{Name: "backend_start", Value: started.Format("2006-01-02T15:04:05.000000Z"), IsEqual: true},
		},
		"startsAt": time.Now().UTC(), "endsAt": time.Now().Add(time.Hour).UTC(),
		"createdBy": "the test", "comment": "leave this one alone",
	})
	if err != nil {
		l.t.Fatal(err)
	}
	var answer struct {
		SilenceID string `json:"silenceID"`
	}
	l.ask(http.MethodPost, "/api/v2/silences", string(body), &answer)
	return answer.SilenceID
}

func (l *loop) expire(silence string) {
	l.t.Helper()
	l.ask(http.MethodDelete, "/api/v2/silence/"+silence, "", nil)
}

// awaitAlert waits until Alertmanager has the session's alert in this state.
func (l *loop) awaitAlert(c *pgtest.Client, state string) {
	l.t.Helper()
	proctest.Eventually(l.t, fmt.Sprintf("the alert about %s to be %s", c, state), func() error {
		var alerts []struct {
			Labels map[string]string `json:"labels"`
			Status struct {
				State string `json:"state"`
			} `json:"status"`
		}
		l.ask(http.MethodGet, "/api/v2/alerts", "", &alerts)
		for _, alert := range alerts {
			if alert.Labels["pid"] == strconv.Itoa(c.PID()) && alert.Status.State == state {
				return nil
			}
		}
		return fmt.Errorf("the alerts are %+v", alerts)
	})
}

// ask calls Alertmanager's API.
func (l *loop) ask(method, path, body string, into any) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), proctest.Patience)
	defer cancel()
	answer, err := proctest.Fetch(ctx, method, l.alertmanager+path, strings.NewReader(body), "Content-Type: application/json")
	if err == nil && answer.Status != http.StatusOK {
		err = fmt.Errorf("%d %s", answer.Status, answer.Body)
	}
	if err == nil && into != nil {
		err = json.Unmarshal([]byte(answer.Body), into)
	}
	if err != nil {
		l.t.Fatalf("%s %s: %v", method, path, err)
	}
}

// expectLedger waits until the ledger says this of a session: for each signal
// an intent and an outcome.
func (l *loop) expectLedger(c *pgtest.Client, want ...string) {
	l.t.Helper()
	proctest.Eventually(l.t, fmt.Sprintf("the ledger to say %q of %s", want, c), func() error {
		if got := l.ledger(c); !slices.Equal(got, want) {
			return fmt.Errorf("it says %q", got)
		}
		return nil
	})
}

// ledger returns what the ledger says of a session. It leaves out the outcome
// gone, because an alert goes on for a while after its query has ended.
func (l *loop) ledger(c *pgtest.Client) []string {
	l.t.Helper()
	text, err := os.ReadFile(filepath.Join(l.dir, "ledger.jsonl"))
	if err != nil {
		l.t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		var entry struct {
			Event, Action, Outcome string
			PID                    int
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			l.t.Fatalf("%q: %v", line, err)
		}
		if entry.PID == c.PID() && entry.Outcome != "gone" {
			lines = append(lines, strings.TrimSpace(entry.Event+" "+entry.Action+" "+entry.Outcome))
		}
	}
	return lines
}
