package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/pgbailiff/pgbailiff/internal/pgtest"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

// With one server more than are read at once, nobody reads them all.
func TestManyServersAreNotReadAtOnce(t *testing.T) {
	for n, want := range map[int]int{mostServers: http.StatusOK, mostServers + 1: http.StatusBadRequest} {
		var servers []string
		for i := range n {
			servers = append(servers, strings.Replace(down, "name: down", fmt.Sprintf("name: db%d", i), 1))
		}
		a, _ := newTestApp(t, "servers: ["+strings.Join(servers, ", ")+"]")
		main, _ := a.routes()
		get := func(path string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			main.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
			return w
		}
		for path, status := range map[string]int{"/": http.StatusOK, "/api/v1/sessions": want, "/api/v1/sessions?server=db7": http.StatusOK} {
			if w := get(path); w.Code != status {
				t.Errorf("%d servers, %s: %d %.200s, want %d", n, path, w.Code, w.Body, status)
			}
		}
		if body := get("/").Body.String(); strings.Contains(body, "They are too many to be read at once") != (want != http.StatusOK) {
			t.Errorf("%d servers: people must choose one: %t", n, want == http.StatusOK)
		}
		a.stop()
	}
}

// Everybody who asks at the same time gets the sessions as they are.
func TestReadersShareWhatIsThere(t *testing.T) {
	srv := pgtest.Start(t)
	busy, leaked := srv.Run(t, "app", "select pg_sleep(600)"), srv.Open(t, "app")
	a, _ := newTestApp(t, fmt.Sprintf("servers: [{name: orders, dsn: %q}]", srv.DSN("monsig")))
	defer a.stop()
	r := a.generations.current.Load().readers["orders"]
	var all sync.WaitGroup
	for range 5 * findsAtATime {
		all.Go(func() {
			snapshot, err := r.Snapshot(t.Context(), session.SnapshotOptions{MaxSessions: 5})
			if err != nil || len(snapshot.Sessions) != 1 || int(snapshot.Sessions[0].PID) != busy.PID() {
				t.Errorf("%v: %+v", err, snapshot.Sessions)
			}
			for pid, want := range map[int]bool{busy.PID(): true, leaked.PID(): true, srv.PID(): false} {
				if found, ok, err := r.Find(t.Context(), int32(pid)); err != nil || ok != want || ok && (int(found.PID) != pid || found.Server != "orders") {
					t.Errorf("pid %d: %t, %v, %+v", pid, ok, err, found)
				}
			}
		})
	}
	all.Wait()
}
