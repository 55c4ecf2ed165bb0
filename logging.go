package main

import (
	"io"
	"log/slog"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	sloggokit "github.com/tjhop/slog-gokit"
)

// newLoggers returns the logger of the whole program, and the same for
// libraries that want slog. The bridge gets the logger without time and
// caller, which it adds itself, and with slog's own level out of the way; what
// it calls time is called ts here.
func newLoggers(f flags, w io.Writer) (log.Logger, *slog.Logger) {
	base := log.NewLogfmtLogger(log.NewSyncWriter(w))
	if f.logFormat == "json" {
		base = log.NewJSONLogger(log.NewSyncWriter(w))
	}
	filtered := level.NewFilter(base, level.Allow(level.ParseDefault(f.logLevel, level.InfoValue())))
	return log.With(filtered, "ts", log.DefaultTimestampUTC, "caller", log.DefaultCaller),
		slog.New(sloggokit.NewGoKitHandler(timeAsTS(filtered), slog.LevelDebug))
}

func timeAsTS(next log.Logger) log.Logger {
	return log.LoggerFunc(func(keyvals ...any) error {
		for i := 0; i < len(keyvals); i += 2 {
			if keyvals[i] == "time" {
				keyvals[i] = "ts"
			}
		}
		return next.Log(keyvals...)
	})
}
