package collector_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pgbailiff/pgbailiff/collector"
	"github.com/pgbailiff/pgbailiff/internal/session"
)

const timeoutHeader = "X-Prometheus-Scrape-Timeout-Seconds"

// handler serves the servers and one registered metric.
func handler(logger log.Logger, servers ...collector.Server) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "registered_total", Help: "One that is registered."}))
	return collector.Handler(reg, collector.Settings{Config: config(), Servers: servers}, logger)
}

// get requests /metrics. The headers are names and values in turn.
func get(t testing.TB, h http.Handler, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// hangs is a server that does not answer.
func hangs() collector.Server {
	return function(func(ctx context.Context, _ session.SnapshotOptions) (session.Snapshot, error) {
		<-ctx.Done()
		return session.Snapshot{}, context.Cause(ctx)
	})
}

// A scrape answers before Prometheus's timeout, even when a server hangs, and with
// any value of the header.
func TestAScrapeAnswersInTime(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"":       9500 * time.Millisecond, // as if it were Prometheus's default, 10 s
		"10":     9500 * time.Millisecond,
		"5":      4500 * time.Millisecond,
		"2.5":    2000 * time.Millisecond,
		"1":      500 * time.Millisecond,
		"0.6":    300 * time.Millisecond,
		"0.001":  500 * time.Microsecond,
		"1e-300": 0,
		"60":     59500 * time.Millisecond,
		"61":     59500 * time.Millisecond,
		"1e300":  59500 * time.Millisecond,
		"inf":    59500 * time.Millisecond,
		"1e999":  9500 * time.Millisecond,
		"-inf":   9500 * time.Millisecond,
		"-5":     9500 * time.Millisecond,
		"0":      9500 * time.Millisecond,
		"NaN":    9500 * time.Millisecond,
		"ten":    9500 * time.Millisecond,
		"5s":     9500 * time.Millisecond,
		"5, 5":   9500 * time.Millisecond,
	} {
		t.Run(header, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				w := get(t, handler(log.NewNopLogger(), hangs(), server(standby())), timeoutHeader, header)
				if took := time.Since(begun); took != want {
					t.Errorf("took %s, want %s", took, want)
				}
				if w.Code != http.StatusOK {
					t.Errorf("status %d", w.Code)
				}
				for _, line := range []string{`pgbailiff_up{server="orders"} 0`, `pgbailiff_up{server="standby"} 1`, "registered_total 0"} {
					if !strings.Contains(w.Body.String(), line+"\n") {
						t.Errorf("no %s in\n%s", line, w.Body)
					}
				}
			})
		})
	}
}

// A slow server does not delay the others.
func TestServersAreReadAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var servers []collector.Server
		for _, name := range []string{"a", "b", "c"} {
			servers = append(servers, slow{name: name, takes: 3 * time.Second})
		}
		begun := time.Now()
		w := get(t, handler(log.NewNopLogger(), servers...))
		if took := time.Since(begun); took != 3*time.Second {
			t.Errorf("took %s", took)
		}
		if got := strings.Count(w.Body.String(), "pgbailiff_scrape_duration_seconds{"); got != 3 {
			t.Errorf("%d servers in\n%s", got, w.Body)
		}
		if !strings.Contains(w.Body.String(), `pgbailiff_scrape_duration_seconds{server="b"} 3`+"\n") {
			t.Errorf("a scrape did not take 3 s:\n%s", w.Body)
		}
	})
}

// slow answers after a time.
type slow struct {
	name  string
	takes time.Duration
}

func (s slow) Name() string { return s.name }

func (s slow) Snapshot(ctx context.Context, _ session.SnapshotOptions) (session.Snapshot, error) {
	select {
	case <-time.After(s.takes):
		snapshot := quiet()
		snapshot.Server = s.name
		return snapshot, nil
	case <-ctx.Done():
		return session.Snapshot{}, context.Cause(ctx)
	}
}

// When Prometheus closes the connection, reading the servers ends. goleak finds
// goroutines that stay.
func TestAClientThatHangsUpEndsItsScrape(t *testing.T) {
	asked, released := make(chan struct{}), make(chan struct{})
	web := httptest.NewServer(handler(log.NewNopLogger(), function(func(ctx context.Context, _ session.SnapshotOptions) (session.Snapshot, error) {
		close(asked)
		<-ctx.Done()
		close(released)
		return session.Snapshot{}, context.Cause(ctx)
	})))
	defer web.Close()
	ctx, hangUp := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, web.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(timeoutHeader, "60")
	go func() {
		<-asked
		hangUp()
	}()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	answer, err := (&http.Client{Transport: transport}).Do(r)
	if err == nil {
		_ = answer.Body.Close()
		t.Errorf("answered %s to a client that had hung up", answer.Status)
	}
	select {
	case <-released:
	case <-time.After(time.Minute):
		t.Error("the server is still being read")
	}
}

func TestAServerThatIsDownIsLoggedAndAnswered(t *testing.T) {
	var lines bytes.Buffer
	w := get(t, handler(log.NewLogfmtLogger(&lines), fake{name: "orders", err: errDown}))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `pgbailiff_up{server="orders"} 0`) {
		t.Errorf("%d:\n%s", w.Code, w.Body)
	}
	if want := "level=warn msg=\"Reading a server failed\" server=orders err=\"connection refused\"\n"; lines.String() != want {
		t.Errorf("logged %q, want %q", lines.String(), want)
	}
}

// Of a duplicate series one is left out and logged. The rest is served.
func TestAServerNamedTwiceDoesNotBreakTheScrape(t *testing.T) {
	var lines bytes.Buffer
	w := get(t, handler(log.NewLogfmtLogger(log.NewSyncWriter(&lines)), server(quiet()), server(quiet())))
	if w.Code != http.StatusOK || strings.Count(w.Body.String(), "\npgbailiff_up{") != 1 {
		t.Errorf("%d:\n%s", w.Code, w.Body)
	}
	if !strings.Contains(lines.String(), "level=error msg=\"Gathering metrics failed\"") {
		t.Errorf("logged %q", lines.String())
	}
}

func TestFormats(t *testing.T) {
	h := handler(log.NewNopLogger(), server(everything()))
	t.Run("text", func(t *testing.T) {
		w := get(t, h)
		if kind := w.Header().Get("Content-Type"); !strings.HasPrefix(kind, "text/plain; version=0.0.4") {
			t.Errorf("Content-Type: %s", kind)
		}
	})
	t.Run("OpenMetrics", func(t *testing.T) {
		w := get(t, h, "Accept", "application/openmetrics-text; version=1.0.0,text/plain;q=0.5")
		if kind := w.Header().Get("Content-Type"); !strings.HasPrefix(kind, "application/openmetrics-text; version=1.0.0") {
			t.Errorf("Content-Type: %s", kind)
		}
		if body := w.Body.String(); !strings.HasSuffix(body, "\n# EOF\n") || !strings.Contains(body, "# TYPE registered counter\n") {
			t.Error(body)
		}
	})
	t.Run("gzip", func(t *testing.T) {
		w := get(t, h, "Accept-Encoding", "gzip")
		if encoding := w.Header().Get("Content-Encoding"); encoding != "gzip" {
			t.Fatalf("Content-Encoding: %q", encoding)
		}
		unpacked, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(unpacked)
		if err != nil || !strings.Contains(string(body), `pgbailiff_up{server="orders"} 1`) {
			t.Errorf("%v:\n%s", err, body)
		}
	})
}
