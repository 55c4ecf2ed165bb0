package api_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbailiff/pgbailiff/internal/remediation"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

func TestSessionsWhole(t *testing.T) {
	holder := client("orders", 41, session.StateIdleInXact, 20)
	waiter := client("orders", 42, session.StateActive, 12.5)
	waiter.WaitEventType, waiter.WaitEvent, waiter.QueryID = "Lock", "transactionid", -9007199254740993
	orders := &server{name: "orders", snapshot: session.Snapshot{
		LocksKnown: true,
		Sessions: []session.Aged{
			aged(waiter, session.Ages{session.FamilyQuery: 12.5, session.FamilyTransaction: 13.5}),
			aged(holder, session.Ages{session.FamilyTransaction: 21, session.FamilyIdleInTransaction: 20}),
		},
		Waiters:  []session.Waiter{{PID: 42, Blockers: []int32{41, 41}}, {PID: 43, Blockers: []int32{42, 0}}},
		Blockers: []session.Blocker{{Session: holder, Behind: 2}},
	}}
	asked := &previews{}
	s := settings(orders)
	s.Preview = asked.preview
	want := `{"sessions":[` +
		`{"server":"orders","pid":41,"backend_start":"` + backendStart + `","query_start":"2026-11-22T12:59:40.000000Z",` +
		`"xact_start":"2026-11-22T12:59:39.000000Z","state_change":"2026-11-22T12:59:40.000000Z",` +
		`"datname":"shop","usename":"app","application_name":"\u003cweb\u003e","client_addr":"10.0.0.1",` +
		`"state":"idle in transaction","wait_event_type":"","wait_event":"","query_id":"0","session_id":"` + holder.LogID() + `",` +
		`"query_duration_seconds":0,"transaction_duration_seconds":21,"idle_in_transaction_duration_seconds":20,` +
		`"blocked":2,"blocked_by":[],"query":"select secret","policy":{"critical":` + verdictJSON + `,"warning":` + verdictJSON + `}},` +
		`{"server":"orders","pid":42,"backend_start":"` + backendStart + `","query_start":"2026-11-22T12:59:47.500000Z",` +
		`"xact_start":"2026-11-22T12:59:46.500000Z","state_change":"2026-11-22T12:59:47.500000Z",` +
		`"datname":"shop","usename":"app","application_name":"\u003cweb\u003e","client_addr":"10.0.0.1",` +
		`"state":"active","wait_event_type":"Lock","wait_event":"transactionid","query_id":"-9007199254740993","session_id":"` + waiter.LogID() + `",` +
		`"query_duration_seconds":12.5,"transaction_duration_seconds":13.5,"idle_in_transaction_duration_seconds":0,` +
		`"blocked":1,"blocked_by":[41],"query":"select secret","policy":{"critical":` + verdictJSON + `,"warning":` + verdictJSON + `}}` +
		`],"errors":[]}` + "\n"
	if got := sessions(t, s, ""); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if diff := cmp.Diff([]session.SnapshotOptions{{MinAge: 10, MaxSessions: 50, Text: true}}, orders.asked); diff != "" {
		t.Errorf("the snapshot (-want +got):\n%s", diff)
	}
	for _, req := range asked.asked {
		f := req.Fence
		ok := f.Server == "orders" && f.BackendStart.Equal(at(backendStart)) && !f.XactStart.IsZero() && f.QueryStart.IsZero() &&
			req.Source == remediation.SourceAlert && req.Labels["server"] == "orders" && req.Labels["severity"] != ""
		if !ok {
			t.Errorf("asked about %+v", req)
		}
	}
	if len(asked.asked) != 4 {
		t.Errorf("asked %d times", len(asked.asked))
	}
	if got := sessions(t, settings(), ""); got != `{"sessions":[],"errors":[]}`+"\n" {
		t.Errorf("no server: %s", got)
	}
}

func TestNoTextIsReadWhereNoneIsShown(t *testing.T) {
	s := client("orders", 42, session.StateActive, 20)
	orders := &server{
		name: "orders", snapshot: session.Snapshot{LocksKnown: true, Sessions: []session.Aged{aged(s, session.Ages{20, 21})}},
		found: map[int32]session.Found{42: {Session: s, Own: session.No, SeenAt: seenAt}},
	}
	shown := settings(orders)
	shown.Text = nil
	for _, query := range []string{"", "?pid=42"} {
		if got := sessions(t, shown, query); !strings.Contains(got, `"query":"",`) {
			t.Errorf("%s", got)
		}
	}
	for _, opts := range orders.asked {
		if opts.Text {
			t.Errorf("asked for %+v", opts)
		}
	}
}

func TestTheLongestOfAllServersAreFirst(t *testing.T) {
	of := func(name string, all ...session.Aged) *server {
		for i := range all {
			all[i].Server = name
		}
		return &server{name: name, snapshot: session.Snapshot{LocksKnown: true, Sessions: all}}
	}
	one := func(pid int32, ages session.Ages) session.Aged {
		return aged(client("", pid, session.StateActive, 1), ages)
	}
	down := of("down")
	down.err = errors.New("connect to 10.0.0.9 as monsig: refused")
	late := of("late")
	late.err = fmt.Errorf("read the activity: %w", context.DeadlineExceeded)
	blind := of("blind", one(7, session.Ages{session.FamilyQuery: 15}))
	blind.snapshot.LocksKnown = false
	got := list(t, sessions(t, settings(
		late, of("b", one(3, session.Ages{session.FamilyQuery: 20}), one(2, session.Ages{session.FamilyQuery: 20}), one(2, session.Ages{session.FamilyQuery: 99})),
		down, of("a", one(1, session.Ages{session.FamilyQuery: 5, session.FamilyTransaction: 5, session.FamilyIdleInTransaction: 30}), one(9, session.Ages{session.FamilyTransaction: 20})),
		blind,
	), ""))
	want := []string{
		"a 1", "b 2", "b 3", "a 9", "blind 7",
		"late: it did not answer in time; the log of pgbailiff says more",
		"down: it could not be read; the log of pgbailiff says why",
		"blind: who waits for whom could not be read; the log of pgbailiff says why",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOnlyTheServerThatHangsIsMissing(t *testing.T) {
	for _, query := range []string{"", "?pid=42"} {
		synctest.Test(t, func(t *testing.T) {
			s := client("orders", 42, session.StateActive, 20)
			orders := &server{
				name: "orders", snapshot: session.Snapshot{LocksKnown: true, Sessions: []session.Aged{aged(s, session.Ages{20, 21})}},
				found: map[int32]session.Found{42: {Session: s, Own: session.No, SeenAt: seenAt}},
			}
			asked := settings(&server{name: "hung", hangs: true}, orders)
			asked.Preview = func(ctx context.Context, _ remediation.Request) remediation.Preview {
				if ctx.Err() != nil {
					t.Error("the policy was asked after the time")
				}
				return remediation.Preview{}
			}
			begun := time.Now()
			got := list(t, sessions(t, asked, query))
			if diff := cmp.Diff([]string{"orders 42", "hung: it did not answer in time; the log of pgbailiff says more"}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if took := time.Since(begun); took != asked.Timeout {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestPreviewsRunSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		orders := &server{name: "orders", snapshot: session.Snapshot{LocksKnown: true}}
		for pid := int32(1); pid <= 10; pid++ {
			orders.snapshot.Sessions = append(orders.snapshot.Sessions, aged(client("orders", pid, session.StateActive, 20), session.Ages{20}))
		}
		asked := settings(orders)
		var begun sync.WaitGroup // ends when all 20 are under way
		begun.Add(20)
		asked.Preview = func(context.Context, remediation.Request) remediation.Preview {
			begun.Done()
			begun.Wait()
			return remediation.Preview{}
		}
		sessions(t, asked, "") // one after the other, they would wait for ever: synctest tells
	})
}

func TestOneSessionByItsPID(t *testing.T) {
	found := func(s session.Session) map[int32]session.Found {
		return map[int32]session.Found{42: {Session: s, Own: session.No, SeenAt: seenAt}}
	}
	with := func(change func(*session.Found)) map[int32]session.Found {
		f := found(client("orders", 42, session.StateActive, 20))[42]
		change(&f)
		return map[int32]session.Found{42: f}
	}
	idle := client("orders", 42, session.StateIdle, 600)
	idle.XactStart = time.Time{}
	late := client("orders", 42, session.StateActive, -1) // has begun after the clock was read
	locks := session.Snapshot{
		LocksKnown: true, Waiters: []session.Waiter{{PID: 42, Blockers: []int32{7}}, {PID: 43, Blockers: []int32{42}}},
	}
	for name, tt := range map[string]struct {
		server server
		want   []string // in the answer; none: there is no such session
		err    string
	}{
		"active": {
			server{found: found(client("orders", 42, session.StateActive, 20)), snapshot: locks},
			[]string{
				`"query_duration_seconds":20,"transaction_duration_seconds":21,"idle_in_transaction_duration_seconds":0,"blocked":1,"blocked_by":[7],` +
					`"query":"select secret","policy":{"critical":` + verdictJSON,
			},
			"",
		},
		"plainly idle": {
			server{found: found(idle), snapshot: session.Snapshot{LocksKnown: true}},
			[]string{
				`"xact_start":"","state_change":"2026-11-22T12:50:00.000000Z"`, `"state":"idle"`,
				`"query_duration_seconds":0,"transaction_duration_seconds":0,"idle_in_transaction_duration_seconds":0,"idle_duration_seconds":600,"blocked":0,"blocked_by":[]`,
			},
			"",
		},
		"begun just now": {
			server{found: found(late), snapshot: session.Snapshot{LocksKnown: true}},
			[]string{`"query_duration_seconds":0,"transaction_duration_seconds":0,`},
			"",
		},
		"none":               {server{}, nil, ""},
		"ours":               {server{found: with(func(f *session.Found) { f.Own = session.Yes })}, nil, ""},
		"perhaps ours":       {server{found: with(func(f *session.Found) { f.Own = session.Unknown })}, nil, ""},
		"hidden":             {server{found: with(func(f *session.Found) { f.BackendType, f.BackendStart = "", time.Time{} })}, nil, ""},
		"without a start":    {server{found: with(func(f *session.Found) { f.BackendStart = time.Time{} })}, nil, ""},
		"a vacuum worker":    {server{found: with(func(f *session.Found) { f.BackendType = "autovacuum worker" })}, nil, ""},
		"a server that fell": {server{findErr: errors.New("refused")}, nil, "it could not be read; the log of pgbailiff says why"},
		"no snapshot": {
			server{found: found(idle), err: fmt.Errorf("%w", context.DeadlineExceeded)},
			[]string{`"blocked":0,"blocked_by":[]`},
			"who waits for whom could not be read; the log of pgbailiff says why",
		},
		"locks unknown": {
			server{found: found(idle)}, []string{`"blocked":0,"blocked_by":[]`}, "who waits for whom could not be read; the log of pgbailiff says why",
		},
	} {
		t.Run(name, func(t *testing.T) {
			tt.server.name = "orders"
			for _, query := range []string{"?pid=42", "?server=orders&pid=42&min_duration=1h"} {
				got := sessions(t, settings(&tt.server), query)
				if tt.want == nil && !strings.HasPrefix(got, `{"sessions":[],`) {
					t.Errorf("%s", got)
				}
				for _, part := range tt.want {
					if !strings.Contains(got, part) {
						t.Errorf("%s\ndoes not have %s", got, part)
					}
				}
				errs := `"errors":[]`
				if tt.err != "" {
					errs = `"errors":[{"server":"orders","error":"` + tt.err + `"}]`
				}
				if !strings.Contains(got, errs) {
					t.Errorf("%s\ndoes not have %s", got, errs)
				}
			}
			for _, opts := range tt.server.asked { // for the locks only
				if opts.MaxSessions != 1 || opts.Text {
					t.Errorf("asked for %+v", opts)
				}
			}
		})
	}
}
