package app

import (
	"slices"
	"strings"
	"time"

	"github.com/go-kit/log/level"

	"github.com/pgbailiff/pgbailiff/internal/config"
)

// filesInterval is how often servers_files are looked at.
const filesInterval = 30 * time.Second

// pollFiles brings the servers in line with the servers_files that have changed.
// Everything else stays as it was loaded, and servers that are the same keep their
// connections.
func (a *app) pollFiles() {
	files := a.loaded.PollServersFiles(a.files)
	switch {
	case files == a.files:
	case slices.Equal(files.Servers(), a.files.Servers()):
		a.showFiles(files)
	default:
		if err := a.serve(a.loaded, files, a.generations.current.Load().access); err != nil {
			level.Error(a.logger).Log("msg", "Keeping the old servers", "err", err)
		}
	}
}

// showFiles says in the log and in the metric what has become of each file.
func (a *app) showFiles(now *config.ServersFiles) {
	before := map[string]*config.ServersFile{}
	for _, file := range a.files.All() {
		before[file.Path] = file
	}
	for _, file := range now.All() {
		was := before[file.Path]
		delete(before, file.Path)
		a.metrics.fileErrors.WithLabelValues(label(file.Path)).Set(oneIf(file.Err != nil))
		switch {
		case file.Err != nil && (was == nil || was.Err == nil || was.Err.Error() != file.Err.Error()):
			level.Error(a.logger).Log("msg", "Keeping the old servers of a file", "file", file.Path, "servers", len(file.Servers), "err", file.Err)
		case file.Err == nil && (was == nil || was.Err != nil || !slices.Equal(was.Servers, file.Servers)):
			level.Info(a.logger).Log("msg", "Read the servers of a file", "file", file.Path, "servers", len(file.Servers))
		}
	}
	for path, file := range before {
		a.metrics.fileErrors.DeleteLabelValues(label(path))
		level.Info(a.logger).Log("msg", "A file with servers is gone, and so are they", "file", path, "servers", len(file.Servers))
	}
	a.files = now
}

// badFiles are the mistakes in the files, in the order of their paths.
func (a *app) badFiles() (all []error) {
	for _, file := range a.files.All() {
		if file.Err != nil {
			all = append(all, file.Err)
		}
	}
	return all
}

// label is a text as the value of a label.
func label(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
