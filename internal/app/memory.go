package app

import (
	"os"
	"runtime/debug"
)

// A process with many servers keeps much memory, most of it connections, and makes
// little garbage. From this many servers on, garbage is collected when it has
// reached half of what is kept, and not all of it: that takes less than a
// twentieth of a scrape's processor time, and a quarter of the memory is saved.
const (
	manyServers          = 100
	garbagePercent       = 100 // Go's own default
	garbagePercentOfMany = 50
)

// limitGarbage sets how much garbage there may be, unless the environment does.
func limitGarbage(servers int) {
	if os.Getenv("GOGC") != "" {
		return
	}
	percent := garbagePercent
	if servers >= manyServers {
		percent = garbagePercentOfMany
	}
	debug.SetGCPercent(percent)
}
