package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/prometheus/alertmanager/template"

	"github.com/pgbailiff/pgbailiff/internal/auth"
	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// maxBody is more than 2,000 alerts with all our labels.
const maxBody = 4 << 20

// message is version "4" of Alertmanager's webhook payload. Fields that we do
// not know are fine: 0.32 and 0.34 added some without a new version.
type message struct {
	*template.Data

	Version         string `json:"version"`
	GroupKey        string `json:"groupKey"`
	TruncatedAlerts uint64 `json:"truncatedAlerts"`
}

// isJSON reports whether the request says that its body is JSON. A browser
// cannot be made to say so to another site without asking that site first.
func isJSON(r *http.Request) bool {
	contentType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && contentType == "application/json"
}

// decode reads the message. The answer of a denial is a sentence for
// Alertmanager's log.
func decode(w http.ResponseWriter, r *http.Request) (*message, *auth.Denial) {
	bad := func(answer string) *auth.Denial { return &auth.Denial{Status: http.StatusBadRequest, Answer: answer} }
	if !isJSON(r) {
		return nil, &auth.Denial{
			Status: http.StatusUnsupportedMediaType, Answer: "the webhook takes Content-Type: application/json",
		}
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return nil, &auth.Denial{
			Status: http.StatusRequestEntityTooLarge, Answer: fmt.Sprintf("the message is larger than %d bytes", tooLarge.Limit),
		}
	}
	if err != nil {
		return nil, bad("the message ended early")
	}
	m := &message{}
	switch err := json.Unmarshal(text, m); {
	case err != nil:
		return nil, bad("the body is not an Alertmanager webhook message in JSON")
	case m.Version != "4":
		return nil, bad(fmt.Sprintf("the message has version %.20q; pgbailiff knows version \"4\" of Alertmanager's webhook", m.Version))
	case m.Data == nil || m.Alerts == nil:
		return nil, bad("the message has no alerts")
	}
	return m, nil
}

// newRequest is what a firing alert asks for.
func newRequest(alert template.Alert, received time.Time) remediation.Request {
	fence, err := session.ParseFence(alert.Labels)
	fence.Server = alert.Labels[session.LabelServer] // of a bad label too
	return remediation.Request{
		Source: remediation.SourceAlert,
		Labels: alert.Labels, Alertname: alert.Labels["alertname"], Fingerprint: alert.Fingerprint,
		Fence: fence, Invalid: err, Since: alert.StartsAt, Received: received,
	}
}

// Result is the answer for one firing alert. All keys are always there.
type Result struct {
	Fingerprint string `json:"fingerprint"`
	Server      string `json:"server"`
	PID         string `json:"pid"`
	Action      string `json:"action"`
	Outcome     string `json:"outcome"`
	Reason      string `json:"reason"`
	Rule        string `json:"rule"`
}

type answer struct {
	Results []Result `json:"results"`
}

// answerOf makes the answer. Its status is 503 if a repeat of any alert can help.
func answerOf(requests []remediation.Request, results []remediation.Result) (status int, _ answer) {
	status = http.StatusOK
	a := answer{Results: make([]Result, len(results))}
	for i, r := range results {
		a.Results[i] = Result{
			Fingerprint: requests[i].Fingerprint,
			Server:      r.Server,
			PID:         requests[i].Labels[session.LabelPID],
			Action:      string(r.Action),
			Outcome:     string(r.Outcome),
			Reason:      string(r.Reason),
			Rule:        r.Rule,
		}
		if r.Retry {
			status = http.StatusServiceUnavailable
		}
	}
	return status, a
}
