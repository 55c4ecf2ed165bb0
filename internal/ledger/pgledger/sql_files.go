package pgledger

import _ "embed"

var (
	//go:embed sql/abandon.sql
	abandonSQL string
	//go:embed sql/append.sql
	appendSQL string
	//go:embed sql/begin.sql
	beginSQL string
	//go:embed sql/check.sql
	checkSQL string
	//go:embed sql/clear.sql
	clearSQL string
	//go:embed sql/end_orphan.sql
	endOrphanSQL string
	//go:embed sql/ended.sql
	endedSQL string
	//go:embed sql/finish.sql
	finishSQL string
	//go:embed sql/holder.sql
	holderSQL string
	//go:embed sql/lock.sql
	lockSQL string
	//go:embed sql/never.sql
	neverSQL string
	//go:embed sql/orphans.sql
	orphansSQL string
	//go:embed sql/release.sql
	releaseSQL string
	//go:embed sql/repin.sql
	repinSQL string
	//go:embed sql/resume.sql
	resumeSQL string
	//go:embed sql/settings.sql
	settingsSQL string
)
