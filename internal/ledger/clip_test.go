package ledger_test

import (
	"encoding/json"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/pgbailiff/pgbailiff/internal/ledger"
)

// texts calls f with every text of an entry.
func texts(e *ledger.Entry, f func(name string, v reflect.Value)) {
	v := reflect.ValueOf(e).Elem()
	for _, field := range reflect.VisibleFields(v.Type()) {
		if field.Type.Kind() == reflect.String {
			f(field.Name, v.FieldByIndex(field.Index))
		}
	}
}

// In the file and in memory, every text is bounded and valid UTF-8.
func TestEveryTextHasABound(t *testing.T) {
	for name, text := range map[string]string{
		"ASCII":                       strings.Repeat("x", 3<<16),
		"runes of 3 bytes":            strings.Repeat("€", 1<<16),
		"runes of 4 bytes":            "x" + strings.Repeat("𝄞", 1<<15),
		"no UTF-8":                    strings.Repeat("\xff\xfe", 1<<16),
		"grows when it is made valid": strings.Repeat("a\xff", 128),
		"control":                     strings.Repeat("\x00", 1<<16),
	} {
		t.Run(name, func(t *testing.T) {
			file := newFile(t)
			l, _ := open(t, file)
			var e ledger.Entry
			texts(&e, func(_ string, v reflect.Value) { v.SetString(text) })
			e.Time = noon
			if got, err := beginEntry(t.Context(), l, e, plenty); got != ledger.Allowed || err != nil {
				t.Fatal(got, err)
			}
			if err := l.Finish(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			if err := l.Append(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			if err := l.Resume(t.Context(), text, "", noon); err != nil {
				t.Fatal(err)
			}
			all := l.Recent(10)
			for _, line := range lines(t, file) {
				encoded, err := json.Marshal(line)
				if err != nil || len(encoded) > 6*(20<<10+25*300) {
					t.Errorf("a line of %d bytes, %v", len(encoded), err)
				}
			}
			for _, got := range append(all, reopened(t, l, file).Recent(10)...) {
				texts(&got, func(name string, v reflect.Value) {
					bound := 256
					switch name {
					case "Detail":
						bound = 512
					case "Comment":
						bound = 4000
					case "Query":
						bound = 16 << 10
					}
					if s := v.String(); len(s) > bound || !utf8.ValidString(s) {
						t.Errorf("%s has %d bytes, valid %t", name, len(s), utf8.ValidString(s))
					}
				})
			}
			if got := all[1]; !strings.HasSuffix(got.Alertname, "…") || len(got.Alertname) < 100 && name != "no UTF-8" {
				t.Errorf("the alert's name is %q", got.Alertname)
			}
		})
	}
}

func TestATextThatFitsStaysAsItIs(t *testing.T) {
	l, _ := open(t, newFile(t))
	e := refusal("orders", strings.Repeat("x", 254)+"é")
	e.Detail, e.Query = strings.Repeat("d", 512), strings.Repeat("q", 16<<10)
	if err := l.Append(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if got := l.Recent(1)[0]; got.Decision != e.Decision || got.Detail != e.Detail || got.Query != e.Query {
		t.Errorf("the entry is %v", got)
	}
}

// An older version had no bounds.
func TestLongTextsAreCutWhenTheyAreReadBack(t *testing.T) {
	file := newFile(t)
	long := strings.Repeat("x", 1<<20)
	line := `{"time":"2026-11-22T12:00:00Z","event":"outcome","server":"orders","pid":42,"alertname":"` + long + `","query":"` + long + `"}` + "\n"
	cutOff := `{"time":"2026-11-22T12:00:00Z","event":"checkpoint","server":"orders","open":[` +
		strings.Replace(line, `"event":"outcome"`, `"event":"","id":"A","decision":"A"`, 1) + "]}"
	cutOff = strings.ReplaceAll(cutOff, "\n", "") + "\n"
	if err := os.WriteFile(file, []byte(line+cutOff), 0o600); err != nil {
		t.Fatal(err)
	}
	l, _ := open(t, file)
	got := l.Recent(10)
	if len(got) != 2 || got[0].ID != "A" {
		t.Fatalf("%d lines", len(got))
	}
	for _, e := range got {
		if len(e.Alertname) != 256 || len(e.Query) != 16<<10 {
			t.Errorf("a name of %d bytes, a query of %d", len(e.Alertname), len(e.Query))
		}
	}
}

// The name is cut in the same way by every call.
func TestAServerWithALongNameHasOneBudget(t *testing.T) {
	file := newFile(t)
	l, _ := open(t, file)
	name := strings.Repeat("server", 100)
	suspendServer(t, l, name)
	for range 2 {
		if !l.Suspended(name) || l.Spent(name, time.Duration(limits.Window), noon) != 1 {
			t.Errorf("suspended %t, spent %d", l.Suspended(name), l.Spent(name, time.Duration(limits.Window), noon))
		}
		l = reopened(t, l, file)
	}
	if err := l.Resume(t.Context(), name, "", noon); err != nil || l.Suspended(name) {
		t.Errorf("Resume = %v", err)
	}
}

// The remembered entries do not keep the alerts' long texts alive.
func TestLongTextsDoNotStayInMemory(t *testing.T) {
	l, _ := open(t, "")
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range 100 {
		e := refusal("orders", "x")
		e.Alertname = strings.Repeat(string(rune('a'+i%26)), 1<<19)
		if err := l.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if after := heap(); after > before+(10<<20) {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	if got := len(l.Recent(1000)); got != 100 {
		t.Errorf("%d are remembered", got)
	}
}
