#!/usr/bin/env bash
# An application whose sessions misbehave. Each file of SQL beside this one is run
# over and over, in a session of the file's name (application_name), until the
# container is stopped.
set -euo pipefail
cd "$(dirname "$0")"
trap 'trap - TERM; kill 0' TERM INT EXIT

over_and_over() { # over_and_over NAME PAUSE
	while true; do
		# It fails whenever pgbailiff has cancelled a query or ended a session.
		PGAPPNAME=$1 psql --no-psqlrc --quiet --output=/dev/null --username=shop --dbname=shop --file="$1.sql" || true
		sleep "$2"
	done
}

over_and_over shop 1 &
for name in report nightly forgotten blocker blocked; do
	over_and_over "$name" 10 &
done
wait
