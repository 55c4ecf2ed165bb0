package pgledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// encode is a line as the column entry has it: without its time, which comes from
// the database's clock. The entry has been normalized.
func encode(e ledger.Entry) []byte {
	// The outer field takes the key from the entry, and leaves it out.
	line := struct {
		ledger.Entry
		Time *struct{} `json:"time,omitempty"`
	}{Entry: e}
	text := marshal(line)
	if !bytes.Contains(text, []byte(`\u0000`)) {
		return text
	}
	var tree any // jsonb has no NUL
	if json.Unmarshal(text, &tree) != nil {
		return text
	}
	return marshal(withoutNUL(tree))
}

// decode is the line with its time.
func decode(at time.Time, line []byte) (ledger.Entry, error) {
	var e ledger.Entry
	if err := json.Unmarshal(line, &e); err != nil {
		return e, fmt.Errorf("read the ledger: %w", err)
	}
	e.Time = at.UTC()
	return e, nil
}

// marshal leaves <, > and & as they are: people search for SQL. All that is passed
// to it can be encoded.
func marshal(v any) []byte {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(v) != nil {
		return nil
	}
	return bytes.TrimSpace(text.Bytes())
}

func withoutNUL(tree any) any {
	switch node := tree.(type) {
	case string:
		return string(bytes.ReplaceAll([]byte(node), []byte{0}, []byte("\uFFFD")))
	case []any:
		for i := range node {
			node[i] = withoutNUL(node[i])
		}
	case map[string]any:
		clean := make(map[string]any, len(node))
		for key, value := range node {
			clean[withoutNUL(key).(string)] = withoutNUL(value)
		}
		return clean
	}
	return tree
}
