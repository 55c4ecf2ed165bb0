package ledger_test

import (
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// The keys are part of the public contract, and so is that the object is flat.
// The identity comes first, so that a person finds it at the same place in
// every line.
func TestTheKeysOfALineAndTheirOrder(t *testing.T) {
	var full ledger.Entry
	for _, field := range reflect.VisibleFields(reflect.TypeFor[ledger.Entry]()) {
		switch v := reflect.ValueOf(&full).Elem().FieldByIndex(field.Index); v.Interface().(type) {
		case ledger.Time:
			v.Set(reflect.ValueOf(ledger.Time{Time: noon}))
		case time.Time:
			v.Set(reflect.ValueOf(noon))
		case map[string]string:
			v.Set(reflect.ValueOf(map[string]string{"": ""}))
		case bool:
			v.SetBool(true)
		default:
			if v.Kind() == reflect.String {
				v.SetString("x")
			}
		}
	}
	for name, tt := range map[string]struct {
		entry ledger.Entry
		keys  string
	}{
		"every field": {full, "time event id decision server system_identifier replica pid backend_start query_start xact_start state_change " +
			"action outcome reason rule signalled detail source by comment alertname severity fingerprint " +
			"datname usename application_name client_addr state wait_event_type wait_event session_id query labels starts_at until"},
		"no field": {ledger.Entry{}, "time event server pid"},
	} {
		t.Run(name, func(t *testing.T) {
			line, err := json.Marshal(tt.entry)
			if err != nil {
				t.Fatal(err)
			}
			var keys []string
			for _, match := range regexp.MustCompile(`"(\w+)":`).FindAllSubmatch(line, -1) {
				keys = append(keys, string(match[1]))
			}
			if got := strings.Join(keys, " "); got != tt.keys {
				t.Errorf("keys %s\nwant %s", got, tt.keys)
			}
		})
	}
}
