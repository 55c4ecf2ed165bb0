package app

import (
	"io"
	"log/slog"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	sloggokit "github.com/tjhop/slog-gokit"
)

// loggers are the logger of the whole program, and the same for libraries that
// want slog.
type loggers struct {
	log.Logger
	slog *slog.Logger
}

// newLoggers makes both. The bridge gets the logger without time and caller,
// which it adds itself, and with slog's own level out of the way.
func newLoggers(o Options, w io.Writer) loggers {
	base := log.NewLogfmtLogger(log.NewSyncWriter(w))
	if o.LogFormat == "json" {
		base = log.NewJSONLogger(log.NewSyncWriter(w))
	}
	filtered := level.NewFilter(base, level.Allow(level.ParseDefault(o.LogLevel, level.InfoValue())))
	return loggers{
		Logger: log.With(filtered, "ts", log.DefaultTimestampUTC, "caller", log.DefaultCaller),
		slog:   slog.New(sloggokit.NewGoKitHandler(timeAsTS(filtered), slog.LevelDebug)),
	}
}

// timeAsTS gives the bridge's time the key that ours has.
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
