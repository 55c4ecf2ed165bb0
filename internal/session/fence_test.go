package session_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/session"
)

const (
	t1 = "2026-11-22T11:05:54.871475Z"
	t2 = "2026-11-22T11:06:00.000001Z"
)

func TestAnAlertWithoutAPidNamesNobody(t *testing.T) {
	for name, labels := range map[string]map[string]string{
		"no labels at all": nil,
		"no pid":           {"server": "orders", "backend_start": t1, "query_start": t1},
		"an empty pid":     {"pid": "", "backend_start": t1, "query_start": t1},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := session.ParseFence(labels)
			if !errors.Is(err, session.ErrNoPID) || f != (session.Fence{}) {
				t.Errorf("ParseFence = %+v, %v; want the zero fence and ErrNoPID", f, err)
			}
		})
	}
}

func TestAPidIsTakenInItsOneDecimalFormOnly(t *testing.T) {
	for _, pid := range []string{
		"+5", "007", "0", "-0", "-1", "-2147483648", "2147483648", "4294967297", "9223372036854775808",
		"1e3", "0x10", "0b1", "0o7", "1_000", "5.0", "5,0", " 5", "5 ", "5\n", "5\x00", "\x00", "٥", "५", "five", "NaN",
		"5; SELECT pg_terminate_backend(6)", "5 OR 1=1", "5) --", "$1", "NULL", "'5'",
		"5\xff", strings.Repeat("9", 100_000),
	} {
		f, err := session.ParseFence(map[string]string{"pid": pid, "backend_start": t1, "query_start": t1})
		if err == nil || errors.Is(err, session.ErrNoPID) || f != (session.Fence{}) {
			t.Errorf("pid %.40q: ParseFence = %+v, %v; want an error", pid, f, err)
			continue
		}
		if !strings.HasPrefix(err.Error(), "label pid: ") || len(err.Error()) > 400 {
			t.Errorf("pid %.40q: the message is %.200q", pid, err)
		}
		if !utf8.ValidString(err.Error()) || strings.ContainsAny(err.Error(), "\x00\n") {
			t.Errorf("pid %.40q: the message %.200q can break a line of a log", pid, err)
		}
	}
}

func TestATimeIsTakenInItsOneFormOnly(t *testing.T) {
	for name, v := range map[string]string{
		"five digits":           "2026-11-22T11:05:54.87147Z",
		"seven digits":          "2026-11-22T11:05:54.8714750Z",
		"nine digits":           "2026-11-22T11:05:54.871475000Z",
		"no fraction":           "2026-11-22T11:05:54Z",
		"only a point":          "2026-11-22T11:05:54.Z",
		"an offset of zero":     "2026-11-22T11:05:54.871475+00:00",
		"another zone":          "2026-11-22T12:05:54.871475+01:00",
		"no zone":               "2026-11-22T11:05:54.871475",
		"a comma":               "2026-11-22T11:05:54,871475Z",
		"lower case z":          "2026-11-22T11:05:54.871475z",
		"lower case t":          "2026-11-22t11:05:54.871475Z",
		"a space":               "2026-11-22 11:05:54.871475Z",
		"PostgreSQL's own form": "2026-11-22 11:05:54.871475+00",
		"30 February":           "2026-02-30T11:05:54.871475Z",
		"29 February of 2026":   "2026-02-29T11:05:54.871475Z",
		"month 13":              "2026-13-01T11:05:54.871475Z",
		"month 0":               "2026-00-01T11:05:54.871475Z",
		"hour 24":               "2026-11-22T24:00:00.000000Z",
		"a leap second":         "2026-12-31T23:59:60.000000Z",
		"hour of one digit":     "2026-11-22T1:05:54.871475Z",
		"year 10000":            "10000-01-01T00:00:00.000000Z",
		"a signed year":         "+2026-11-22T11:05:54.871475Z",
		"before the year 0":     "-0001-11-22T11:05:54.871475Z",
		"the zero time":         "0001-01-01T00:00:00.000000Z",
		"seconds since 1970":    "1795345554.871475",
		"infinity":              "infinity",
		"SQL":                   "'; SELECT pg_terminate_backend(1); --",
		"white space around":    " " + t1,
		"a line feed after":     t1 + "\n",
		"a NUL byte after":      t1 + "\x00",
		"digits of Arabic":      "٢٠٢٦-11-22T11:05:54.871475Z",
		"huge":                  strings.Repeat("2", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := session.ParseTime(v); err == nil || !got.IsZero() {
				t.Errorf("ParseTime = %v, %v; want an error", got, err)
			}
			for _, label := range []string{"backend_start", "query_start", "xact_start", "state_change"} {
				f, err := session.ParseFence(map[string]string{"pid": "5", label: v})
				if err == nil || f != (session.Fence{}) {
					t.Errorf("%s: ParseFence = %+v, %v; want an error", label, f, err)
				} else if !strings.HasPrefix(err.Error(), "label "+label+": ") || len(err.Error()) > 400 {
					t.Errorf("%s: the message is %.200q", label, err)
				}
			}
		})
	}
}

func TestAFenceIsExactlyWhatTheLabelsSay(t *testing.T) {
	at := func(v string) time.Time {
		parsed, err := session.ParseTime(v)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	for name, tt := range map[string]struct {
		labels map[string]string
		want   session.Fence
	}{
		"a pid alone":           {map[string]string{"pid": "5"}, session.Fence{PID: 5}},
		"the largest pid":       {map[string]string{"pid": "2147483647"}, session.Fence{PID: 2147483647}},
		"with server":           {map[string]string{"pid": "5", "server": "orders"}, session.Fence{Server: "orders", PID: 5}},
		"empty times are none":  {map[string]string{"pid": "5", "query_start": ""}, session.Fence{PID: 5}},
		"foreign labels do not": {map[string]string{"pid": "5", "Query_Start": "x", "start": "y"}, session.Fence{PID: 5}},
		"everything": {
			map[string]string{"pid": "5", "backend_start": t1, "query_start": t2, "xact_start": t1, "state_change": t2},
			session.Fence{PID: 5, BackendStart: at(t1), QueryStart: at(t2), XactStart: at(t1), StateChange: at(t2)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := maps.Clone(tt.labels)
			got, err := session.ParseFence(tt.labels)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("fence (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, tt.labels); diff != "" {
				t.Errorf("ParseFence changed the labels:\n%s", diff)
			}
		})
	}
}

func TestAnIdentityIsTheSessionsStartAndAPeriod(t *testing.T) {
	for name, tt := range map[string]struct {
		labels map[string]string
		want   bool
	}{
		"only a pid":                {map[string]string{"pid": "5"}, false},
		"the session alone":         {map[string]string{"pid": "5", "backend_start": t1}, false},
		"a query without a session": {map[string]string{"pid": "5", "query_start": t1}, false},
		"all periods, no session":   {map[string]string{"pid": "5", "query_start": t1, "xact_start": t1, "state_change": t1}, false},
		"session and query":         {map[string]string{"pid": "5", "backend_start": t1, "query_start": t1}, true},
		"session and transaction":   {map[string]string{"pid": "5", "backend_start": t1, "xact_start": t1}, true},
		"session and idling":        {map[string]string{"pid": "5", "backend_start": t1, "state_change": t1}, true},
		"session and two periods":   {map[string]string{"pid": "5", "backend_start": t1, "query_start": t1, "xact_start": t1}, true},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := session.ParseFence(tt.labels)
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Complete(); got != tt.want {
				t.Errorf("Complete = %t", got)
			}
		})
	}
}
