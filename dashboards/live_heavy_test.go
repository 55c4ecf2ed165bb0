//go:build heavy

package dashboards_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// TestEveryExpressionOnALiveStack creates, with real programs, every situation
// that the boards and the rules are for, and has Prometheus execute all of their
// expressions meanwhile. An expression that never finds anything is wrong,
// although it parses.
func TestEveryExpressionOnALiveStack(t *testing.T) {
	s := startStack(t)
	claims := slices.Concat(boardClaims(t), variableClaims(t), ruleClaims(t), situationClaims())

	// Prometheus has neither a target nor a threshold yet.
	s.prove(t, about(claims, "absent("))
	incomplete := s.thresholds[:strings.LastIndex(s.thresholds, "      - record:")]
	s.configurePrometheus(t, s.targets, incomplete)
	s.prove(t, append(about(claims, "every server that can be up"), about(claims, "Configuration in force")...))
	s.breakReload(t)
	s.becomeStandby(t)
	s.misbehave(t)
	s.orderByHand(t)
	s.actAsPerson(t)
	s.prove(t, about(claims, "PgbailiffThresholdsIncomplete"))
	s.configurePrometheus(t, s.targets, s.thresholds)
	s.prove(t, append(about(claims, "PgbailiffConnectionsNearLimit"), about(claims, "the full server")...))
	s.overload(t)
	s.prove(t, claims)

	s.checkNoErrors(t, claims)
	s.checkContract(t)
	s.checkPages(t)
	for _, receiver := range []string{"chat", "pager"} {
		proctest.Eventually(t, "a notification of the receiver "+receiver, func() error {
			if s.notifications(receiver) == 0 {
				return errors.New("none so far")
			}
			return nil
		})
	}
}

// prove asks Prometheus until every claim has held once.
func (s *stack) prove(t *testing.T, claims []*claim) {
	t.Helper()
	if len(claims) == 0 {
		t.Fatal("nothing to prove")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	err := proctest.Poll(ctx, 300*time.Millisecond, func() error {
		var left []string
		for _, c := range claims {
			if !c.proven && !s.holds(t, c, c.ranged) {
				left = append(left, c.what+": "+c.query)
				continue
			}
			c.proven = true
		}
		if len(left) > 0 {
			return fmt.Errorf("%d of %d have never found anything:\n%s", len(left), len(claims), strings.Join(left, "\n"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// holds asks Prometheus once.
func (s *stack) holds(t *testing.T, c *claim, ranged bool) bool {
	t.Helper()
	path, parameters := "/api/v1/query", url.Values{"query": {c.query}}
	switch {
	case c.label != "":
		path, parameters = "/api/v1/label/"+c.label+"/values", url.Values{"match[]": {c.query}}
	case ranged:
		path = "/api/v1/query_range"
		// The steps are whole seconds, so the last one must not lie before now: what
		// was found in this very second would be missed.
		parameters.Set("start", s.began.UTC().Format(time.RFC3339))
		parameters.Set("end", time.Now().Add(2*time.Second).UTC().Format(time.RFC3339))
		parameters.Set("step", "1")
	}
	status, body := s.fetch(t, s.prometheus.URL+path+"?"+parameters.Encode(), "")
	var answer struct{ Data json.RawMessage }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 200 {
		t.Errorf("%s: %d %s\n%s", c.what, status, body, c.query)
		return true // the failure stays
	}
	if c.label != "" {
		return len(answer.Data) > len("[]")
	}
	type sample [2]any // a time and a number as text
	var data struct {
		Result []struct {
			Metric map[string]string
			Value  sample
			Values []sample
		}
	}
	if err := json.Unmarshal(answer.Data, &data); err != nil {
		t.Fatalf("%s: %v in %s", c.what, err, body)
	}
	for _, series := range data.Result {
		if slices.ContainsFunc(c.labels, func(label string) bool { return series.Metric[label] == "" }) {
			continue
		}
		for _, sample := range append(series.Values, series.Value) {
			text, _ := sample[1].(string)
			value, err := strconv.ParseFloat(text, 64)
			if err == nil && !math.IsNaN(value) && (value != 0 || c.zero) {
				return true
			}
		}
	}
	return false
}

// checkNoErrors executes every expression for every second of the run. One that
// finds two series where it may only find one fails then.
func (s *stack) checkNoErrors(t *testing.T, claims []*claim) {
	t.Helper()
	for _, c := range claims {
		if !s.holds(t, c, true) {
			t.Errorf("%s found something before, but nothing over the whole run: %s", c.what, c.query)
		}
	}
}
