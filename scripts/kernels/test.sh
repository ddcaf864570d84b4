#!/bin/sh
# Runs tests on the kernels of kernels.txt, each booted under QEMU with nothing
# in it but the tests and fault itself: test.sh [NAME...]
# Needs no root and no KVM. Tests are short: tables have only rows to which the
# kernel makes a difference. Fails where a test failed, where a guest ended
# without a result, and where no kernel at all could be had.
# Environment: PACKAGES, TEST_ARGS (as -test.run=Connect), TIMEOUT (seconds a
# guest, 500), JOBS (guests side by side, 2), LOGS (a folder to keep the logs
# in; without it they stay only after a failure), and fetch.sh's and guest.sh's.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
export TIMEOUT="${TIMEOUT:-500}" HOME="${HOME:-/var/tmp}"
start=$(date +%s)

for tool in go qemu-system-x86_64; do
	command -v "$tool" >/dev/null || {
		echo "find $tool: not installed" >&2
		exit 1
	}
done
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"$here/fetch.sh" "$@" >"$tmp/kernels"
awk -F '\t' '$2 != "-" { print $1; print $2 }' "$tmp/kernels" >"$tmp/had"
[ -s "$tmp/had" ] || {
	echo "fetch kernels: none could be had" >&2
	exit 1
}

# compile FILE PACKAGE GO-COMMAND...
compile() {
	file=$1 package=$2
	shift 2
	CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go "$@" -trimpath -ldflags='-s -w' -o "$tmp/root/$file" "$package"
}
mkdir -p "$tmp/root/bin" "$tmp/root/etc" "$tmp/root/tests"
printf '127.0.0.1 localhost\n::1 localhost\n' >"$tmp/root/etc/hosts"
compile init ./scripts/kernels/guestinit build
[ ! -f cmd/fault/main.go ] || compile bin/fault ./cmd/fault build
binaries=0
for package in ${PACKAGES:-./bpf ./agent}; do
	test=tests/$(printf %s "${package#./}" | tr / -).test
	compile "$test" "$package" test -c
	[ -s "$tmp/root/$test" ] || {
		echo "build tests of $package: there are none" >&2
		exit 1
	}
	binaries=$((binaries + 1))
done
go run ./scripts/kernels/mkinitramfs "$tmp/root" "$tmp/initramfs"

# A test that hangs shows where only if it ends before the guest does.
export TEST_ARGS="-test.v -test.short -test.timeout=$(((TIMEOUT - 20) / binaries))s ${TEST_ARGS:-}"
logs=${LOGS:-$tmp/logs}
mkdir -p "$logs"
failed=0
xargs -d '\n' -n 2 -P "${JOBS:-2}" "$here/guest.sh" "$tmp/initramfs" "$logs" <"$tmp/had" || failed=1
awk -F '\t' '$2 == "-" { printf "%-6s could not be had\n", $1 }' "$tmp/kernels"

# In the order of kernels.txt, without the log of a boot that was repeated.
set --
while read -r name && read -r _; do
	set -- "$@" "$logs/$name.log"
done <"$tmp/had"
awk -f "$here/features.awk" "$@"
passed=0
for log; do
	if grep -q '^FAULT-GUEST exit 0$' "$log"; then
		passed=$((passed + 1))
		continue
	fi
	printf '\nthe end of %s:\n' "$(basename "$log")"
	{ grep -B 4 '^ *--- FAIL' "$log" || true; } | head -n 80 # with what was said
	tail -n 60 "$log"
done
all=$(wc -l <"$tmp/kernels")
printf '\n%d kernels: %d passed, %d failed, %d could not be had; %d s\n' \
	"$all" "$passed" "$(($# - passed))" "$((all - $#))" "$(($(date +%s) - start))"
if [ "$failed" -ne 0 ] && [ -z "${LOGS:-}" ]; then
	logs=$(mktemp -d)
	mv "$tmp"/logs/* "$logs"
	echo "logs: $logs"
fi
exit "$failed"
