#!/bin/sh
# Makes sure that the kernels of kernels.txt are in the cache folder:
# fetch.sh [NAME...]
# Prints "NAME<tab>FILE" for each, with "-" as the file of one that cannot be
# had: Debian's suites and their pools are pruned over time, and one kernel
# less must not stop the others. What is in the cache is not looked for again:
# remove its folder to get a newer one.
# Installs nothing, needs no root, leaves the machine's apt sources alone.
# Environment: FAULT_KERNELS (the cache folder), DEBIAN_MIRROR (its address
# less "/debian"; the default is the one that this machine's apt uses).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${FAULT_KERNELS:-${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/fault-kernels}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

list() { awk '!/^#/ && NF { print $1, $2, $3 }' "$here/kernels.txt"; }
wanted() {
	list | while read -r name suite pattern; do
		case " $* " in "  " | *" $name "*) echo "$name $suite $pattern" ;; esac
	done
}
missing() {
	wanted "$@" | while read -r name rest; do
		[ -s "$cache/$name/vmlinuz" ] || echo "$name $rest"
	done
}

for name; do
	list | cut -d ' ' -f 1 | grep -Fqx -- "$name" || {
		echo "find kernel $name: not in kernels.txt" >&2
		exit 2
	}
done

apt() {
	tool=$1
	shift
	# The kernels are amd64 whatever this machine is. Uncompressed indexes
	# can be read below, and without root apt cannot change to a user of its own.
	timeout 300 "$tool" -q -o APT::Architecture=amd64 \
		-o Dir::Etc::sourcelist="$cache/apt/sources.list" -o Dir::Etc::sourceparts="$cache/apt/parts" \
		-o Dir::State::lists="$cache/apt/lists" -o Dir::Cache="$cache/apt/cache" \
		-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
		-o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
		-o Acquire::GzipIndexes=false -o APT::Sandbox::User=root \
		-o Acquire::Retries=1 -o Acquire::http::Timeout=20 "$@" </dev/null
}

update() {
	mkdir -p "$cache/apt/lists/partial" "$cache/apt/cache/archives/partial" "$cache/apt/parts"
	# shellcheck disable=SC2016 # apt replaces $(...) itself
	mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' |
		sed -n 's,^Debian \(.*\)/debian/*$,\1,p' | head -n 1)}
	key='[arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
	missing "$@" | cut -d ' ' -f 2 | sort -u | while read -r suite; do
		case $suite in
		*-security) echo "deb $key ${mirror:-https://deb.debian.org}/debian-security $suite main" ;;
		*) echo "deb $key ${mirror:-https://deb.debian.org}/debian $suite main" ;;
		esac
	done >"$cache/apt/sources.list"
	# One suite that is gone makes the whole update fail: the others are there.
	apt apt-get update >"$cache/apt/update.log" 2>&1 || true
	grep '^[EW]:' "$cache/apt/update.log" >&2 || true
}

# get NAME PACKAGE: the rename comes last, so that what is in the cache is whole.
get() {
	new=$cache/$1.new
	rm -rf "$new"
	mkdir -p "$new/deb" "$cache/$1"
	(cd "$new/deb" && apt apt-get download "$2" >"$cache/apt/download.log" 2>&1) &&
		dpkg -x "$new/deb/"*.deb "$new/root" &&
		find "$new/root" -name 'vmlinuz*' -type f -exec mv {} "$new/vmlinuz" \; &&
		[ -s "$new/vmlinuz" ] &&
		mv "$new/vmlinuz" "$cache/$1/vmlinuz"
}

if [ -n "$(missing "$@")" ]; then
	command -v apt-get >/dev/null || echo "find apt-get: not installed" >&2
	# Two runs must not fetch into the same folder.
	exec 9>"$cache/lock"
	flock -w 600 9 || {
		echo "lock $cache: another fetch is running" >&2
		exit 1
	}
	update "$@"
	missing "$@" | while read -r name suite pattern; do
		# An index may still list what its pool no longer has: three are tried.
		find "$cache/apt/lists" -name "*_dists_${suite}_main_binary-amd64_Packages" -exec sed -n 's/^Package: //p' {} + |
			grep -Ex "$pattern" | sort -rV | head -n 3 |
			while read -r package; do
				if get "$name" "$package"; then
					echo "fetched $package" >&2
					break
				fi
				tail -n 1 "$cache/apt/download.log" >&2
			done
		rm -rf "$cache/$name.new"
	done
fi
wanted "$@" | while read -r name _; do
	file=$cache/$name/vmlinuz
	[ -s "$file" ] || file=-
	printf '%s\t%s\n' "$name" "$file"
done
