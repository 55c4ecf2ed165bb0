package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// get returns the body of a page; any status but 200 is an error.
func get(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s: %s", req.URL.Redacted(), resp.Status, body)
	}
	return body, nil
}

// loopIsClosed is nil once Prometheus has scraped pgbailiff, which sees PostgreSQL, and has found
// Alertmanager.
func (s *stack) loopIsClosed(ctx context.Context) error {
	var up struct {
		Data struct{ Result []json.RawMessage }
	}
	query := fmt.Sprintf("pgbailiff_up{server=%q} == 1", serverName)
	if err := s.askPrometheus(ctx, "query?query="+url.QueryEscape(query), &up); err != nil {
		return err
	}
	if len(up.Data.Result) == 0 {
		return fmt.Errorf("prometheus has no %s", query)
	}
	var found struct {
		Data struct{ ActiveAlertmanagers []json.RawMessage }
	}
	if err := s.askPrometheus(ctx, "alertmanagers", &found); err != nil {
		return err
	}
	if len(found.Data.ActiveAlertmanagers) == 0 {
		return fmt.Errorf("prometheus has not found alertmanager: %w", errNotYet)
	}
	return nil
}

// alert is one that Prometheus fires.
type alert struct {
	Labels   map[string]string
	State    string
	ActiveAt time.Time
	Value    string
}

func (s *stack) firingAlerts(ctx context.Context) ([]alert, error) {
	var answer struct {
		Data struct{ Alerts []alert }
	}
	err := s.askPrometheus(ctx, "alerts", &answer)
	return answer.Data.Alerts, err
}

func (s *stack) askPrometheus(ctx context.Context, what string, answer any) error {
	body, err := get(ctx, "http://"+s.settings.PrometheusAddr+"/api/v1/"+what)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, answer)
}

// sample is one line of /metrics.
type sample struct {
	line  string
	value float64
}

// remediations returns pgbailiff's counters of what it did, those at zero left out.
func (s *stack) remediations(ctx context.Context) ([]sample, error) {
	body, err := get(ctx, s.settings.scraped("/metrics"))
	if err != nil {
		return nil, err
	}
	return nonZero(string(body), "pgbailiff_remediations_total{")
}

// nonZero returns the lines of an exposition that begin with prefix and are not at zero.
func nonZero(exposition, prefix string) ([]sample, error) {
	var samples []sample
	for line := range strings.Lines(exposition) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, prefix) {
			continue
		}
		value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("/metrics: %q: %w", line, err)
		}
		if value != 0 {
			samples = append(samples, sample{line: line, value: value})
		}
	}
	return samples, nil
}

// sum adds up the samples whose line has all of the given labels, each as name="value".
func sum(samples []sample, labels ...string) float64 {
	total := 0.0
next:
	for _, s := range samples {
		for _, label := range labels {
			if !strings.Contains(s.line, label) {
				continue next
			}
		}
		total += s.value
	}
	return total
}
