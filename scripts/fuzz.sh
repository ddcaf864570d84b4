#!/bin/sh
# Fuzz each parser for a time, as timeout(1) writes it; all at once, up to 32.
# They leave the processors to whatever else wants them.
#
# An interrupt ends each of them: with -fuzztime, Go before 1.27 now and then
# calls the end of that time a failure (golang/go#75804).
set -eu
cd "$(dirname "$0")/.."
export duration="${1:-1m}"

binaries=$(mktemp -d)
trap 'rm -rf "$binaries"' EXIT
cache=$(go env GOCACHE)/fuzz
export cache

for package in $(go list ./...); do
	grep -qs '^func Fuzz' "$(go list -f '{{.Dir}}' "$package")"/*_test.go || continue
	binary=$binaries/$(echo "$package" | tr / _)
	go test -c -fuzz . -o "$binary" "$package"
	for target in $("$binary" -test.list '^Fuzz'); do
		echo "$package $(go list -f '{{.Dir}}' "$package") $binary $target"
	done
done >"$binaries/targets"

# shellcheck disable=SC2016 # the inner shell expands
nice -n 19 xargs -L 1 -P 32 sh -c '
	cd "$1"
	timeout --preserve-status --signal INT --kill-after 30s "$duration" \
		"$2" -test.run "^$" -test.fuzz "^$3\$" -test.fuzzcachedir "$cache/$0" -test.parallel 1
' <"$binaries/targets"
