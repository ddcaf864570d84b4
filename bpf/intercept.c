//go:build ignore

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//
// The kernel's half of interception. connect.h diverts connect(2), names.h
// learns the addresses of names, sockops.h files where each connection was
// going, hold.h has it wait for the upstream, peername.h hides the diversion
// from the caller.

#include "connect.h"
#include "hold.h"
#include "names.h"
#include "peername.h"
#include "sockops.h"

/* Unused, so that the type is in the object's BTF, where bpf2go finds it. */
const enum verdict *verdict_type __attribute__((unused));
const struct waiting *waiting_type __attribute__((unused));

char _license[] SEC("license") = "Dual BSD/GPL";
