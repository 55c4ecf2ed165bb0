package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/pgbailiff/pgbailiff/internal/proctest"
)

// The commands of TestScripts that are about alerts.

// webhookMessage is what Alertmanager posts.
type webhookMessage struct {
	template.Data
	Version         string `json:"version"`
	GroupKey        string `json:"groupKey"`
	TruncatedAlerts uint64 `json:"truncatedAlerts"`
}

func (w *world) alert(neg bool, args []string) error {
	if err := usage(neg, args, 2, -1); err != nil {
		return err
	}
	file := args[0]
	alert := template.Alert{Status: "firing", StartsAt: time.Now().UTC(), Labels: template.KV{}}
	for _, arg := range args[1:] {
		name, value, isLabel := strings.Cut(arg, "=")
		switch {
		case !isLabel:
			session, family, _ := strings.Cut(arg, ".")
			alert.Labels = w.seriesLabels(family, w.session(session).PID())
		case name == "status":
			alert.Status = value
		case name == "startsAt":
			at, err := parseTime(value)
			if err != nil {
				return err
			}
			alert.StartsAt = at
		case value == "":
			delete(alert.Labels, name)
		default:
			alert.Labels[name] = value
		}
	}
	if alert.Labels["alertname"] == "" {
		alert.Labels["alertname"] = "TestAlert"
	}
	labels := model.LabelSet{}
	for name, value := range alert.Labels {
		labels[model.LabelName(name)] = model.LabelValue(value)
	}
	alert.Fingerprint = labels.Fingerprint().String()
	w.ts.Setenv("FINGERPRINT", alert.Fingerprint)
	return addAlert(w.ts.MkAbs(file), alert)
}

// addAlert appends to the message in a file, which it makes if there is none.
func addAlert(path string, alert template.Alert) error {
	message := webhookMessage{
		Version: "4", GroupKey: `{}:{alertname="TestAlert"}`,
		Data: template.Data{Receiver: "pgbailiff", Status: "firing", ExternalURL: "http://alertmanager:9093"},
	}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(text, &message); err != nil {
			return err
		}
	}
	message.Alerts = append(message.Alerts, alert)
	if text, err = json.Marshal(message); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// parseTime reads a time, absolute or relative to now.
func parseTime(text string) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return time.Now().Add(d).UTC(), nil
	}
	return time.Parse(time.RFC3339Nano, text)
}

// seriesLabels waits for the session's series and returns its labels.
func (w *world) seriesLabels(family string, pid int) template.KV {
	name := "pgbailiff_" + family + "_duration_seconds"
	var labels template.KV
	proctest.Eventually(w.t, fmt.Sprintf("%s{pid=%q}", name, strconv.Itoa(pid)), func() error {
		text, err := proctest.Get(w.t, w.ts.Getenv("URL")+"/metrics")
		if err != nil {
			return err
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(text))
		if err != nil {
			return err
		}
		for _, series := range families[name].GetMetric() {
			labels = template.KV{}
			for _, label := range series.GetLabel() {
				if label.GetValue() != "" {
					labels[label.GetName()] = label.GetValue()
				}
			}
			if labels["pid"] == strconv.Itoa(pid) {
				return nil
			}
		}
		return errors.New("no such series")
	})
	return labels
}

func (w *world) pad(neg bool, args []string) error {
	if err := usage(neg, args, 2, 2); err != nil {
		return err
	}
	size, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	text := w.ts.ReadFile(args[0])
	text += strings.Repeat(" ", max(0, size-len(text)))
	return os.WriteFile(w.ts.MkAbs(args[0]), []byte(text), 0o600)
}

func (w *world) ledger(neg bool, args []string) error {
	if err := usage(neg, args, 2, -1); err != nil {
		return err
	}
	for text := range strings.Lines(w.ts.ReadFile(args[0])) {
		line := map[string]any{}
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			return fmt.Errorf("%q: %w", text, err)
		}
		var values []string
		for _, key := range args[1:] {
			value := "-"
			if v, ok := line[key]; ok {
				value = fmt.Sprint(v)
			}
			values = append(values, value)
		}
		fmt.Fprintln(w.ts.Stdout(), strings.Join(values, " "))
	}
	return nil
}
