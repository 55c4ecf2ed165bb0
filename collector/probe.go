package collector

import (
	"net/http"

	"github.com/go-kit/log"
)

// Probe serves /probe?server=NAME: the series of one server, and nothing of
// ourselves. It answers 200 even when that server is down.
func Probe(settings Settings, logger log.Logger) http.Handler {
	metrics, compress := newMetrics(), newCompressor()
	servers := make(map[string]Server, len(settings.Servers))
	for _, server := range settings.Servers {
		servers[valid(server.Name())] = server // as the label has it
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Query().Get("server")
		server, known := servers[name]
		switch {
		case name == "":
			http.Error(w, "name a server: /probe?server=NAME", http.StatusBadRequest)
		case !known:
			http.Error(w, "no server of this name is configured", http.StatusNotFound)
		default:
			one := Settings{Config: settings.Config, Servers: []Server{server}}
			compress.serve(w, r, func(w http.ResponseWriter, r *http.Request) {
				scrapeServers(w, r, metrics, one, nil, logger)
			})
		}
	})
}
