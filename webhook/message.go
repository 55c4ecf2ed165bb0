package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/prometheus/alertmanager/template"
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

// decode reads a message. An error is a sentence for Alertmanager's log, with
// the HTTP status that it goes with.
func decode(body io.Reader) (*message, int, error) {
	text, err := io.ReadAll(body)
	if err != nil {
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("the message is larger than %d bytes", tooLarge.Limit)
		}
		return nil, http.StatusBadRequest, errors.New("the message ended early")
	}
	m := &message{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, http.StatusBadRequest, errors.New("the body is not an Alertmanager webhook message in JSON")
	}
	if m.Version != "4" {
		return nil, http.StatusBadRequest, fmt.Errorf("the message has version %.20q; pgbailiff knows version \"4\" of Alertmanager's webhook", m.Version)
	}
	if m.Data == nil || m.Alerts == nil {
		return nil, http.StatusBadRequest, errors.New("the message has no alerts")
	}
	return m, http.StatusOK, nil
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
