#!/bin/sh
# Boots one kernel in QEMU, which runs the tests of the initramfs, and prints
# one line about it: guest.sh INITRAMFS LOGS NAME KERNEL
# The console's output goes to LOGS/NAME.log. Fails unless the guest said that
# its tests passed.
# Environment: TIMEOUT (seconds, 300), TEST_ARGS, ACCEL (tcg; QEMU's own
# fallback from kvm is no use where /dev/kvm is there and does not work).
set -eu
initramfs=$1 logs=$2 name=$3 kernel=$4
log=$logs/$name.log

# One CPU: with two and multi-threaded emulation, about one boot in 40 dies of
# "Oops: int3", QEMU racing with the kernel's patching of its own code. Two such
# guests side by side also use two cores better. An oops ends the guest, as a
# test may pass after it.
boot() {
	timeout --foreground -k 5 "${TIMEOUT:-300}" qemu-system-x86_64 \
		-machine pc -cpu max -accel "${ACCEL:-tcg}" -smp 1 -m 512 \
		-nographic -nodefaults -no-user-config -no-reboot -monitor none -serial stdio \
		-kernel "$kernel" -initrd "$initramfs" \
		-append "console=ttyS0 quiet panic=-1 oops=panic reboot=t mitigations=off nokaslr -- ${TEST_ARGS:-}" \
		</dev/null 2>&1 | sed 's/\x1b\[[0-9;?]*[a-zA-Z]//g; s/\x1bc//g; s/\r$//' >"$log"
}
ended() { grep -q '^FAULT-GUEST exit ' "$log"; }
passed() { grep -q '^FAULT-GUEST exit 0$' "$log"; }

start=$(date +%s)
boot
note=
if ! ended && grep -q 'Oops: int3' "$log"; then
	mv "$log" "$logs/$name.int3.log"
	note=' (second boot, the first died of "Oops: int3")'
	boot
fi
ended || note="$note (ended without a result)"
result=pass
passed || result=FAIL
awk -v name="$name" -v result="$result" -v seconds="$(($(date +%s) - start))" -v note="$note" '
	/^FAULT-GUEST kernel / {
		release = $3
		for (i = 4; i < NF; i++) if ($i == "Debian") release = release " (" $(i + 1) ")"
	}
	/^FAULT-GUEST ran / { ran += $4; skipped += $6 }
	END {
		if (skipped) note = " (" skipped " skipped)" note
		printf "%-6s %-48s %s %4d tests %4d s%s\n", name, release, result, ran, seconds, note
	}' "$log"
passed
