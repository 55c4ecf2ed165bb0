package proctest

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
)

// Server is a program that serves HTTP, in the manner of Prometheus's programs.
type Server struct {
	*Process
	Address string // host:port
	URL     string // http://host:port
}

// Serve starts a program on a port of 127.0.0.1 that it chooses itself, and
// returns when /-/ready answers 200, or 401 where every page needs a password.
func Serve(t testing.TB, c Command) *Server {
	t.Helper()
	c.Args = append(slices.Clip(c.Args), "--web.listen-address=127.0.0.1:0")
	p := Start(t, c)
	address := p.Address()
	s := &Server{Process: p, Address: address, URL: "http://" + address}
	Eventually(t, p.Name()+" to be ready", func() error {
		answer, err := Fetch(t.Context(), http.MethodGet, s.URL+"/-/ready", nil)
		if err == nil && answer.Status != http.StatusOK && answer.Status != http.StatusUnauthorized {
			err = fmt.Errorf("/-/ready: %d %s", answer.Status, answer.Body)
		}
		return err
	})
	return s
}

// Prometheus starts one with the configuration prometheus.yml of a directory,
// where it also keeps its data.
func Prometheus(t testing.TB, dir string) *Server {
	t.Helper()
	return Serve(t, Command{
		Path: Find(t, "prometheus"), Dir: dir,
		Args: []string{"--config.file=prometheus.yml", "--storage.tsdb.path=prometheus.data"},
	})
}

// Alertmanager starts one without peers, with the configuration
// alertmanager.yml of a directory, where it also keeps its data.
func Alertmanager(t testing.TB, dir string) *Server {
	t.Helper()
	return Serve(t, Command{
		Path: Find(t, "alertmanager"), Dir: dir,
		AnyStatus: true, // it is ready before it handles SIGTERM
		Args: []string{
			"--config.file=alertmanager.yml", "--storage.path=alertmanager.data",
			"--cluster.listen-address=", "--web.external-url=http://alertmanager.example",
		},
	})
}
