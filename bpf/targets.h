// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//
// What of the selectors of processes grows by itself: follow.c adds to it.

#ifndef FAULT_TARGETS_H
#define FAULT_TARGETS_H

#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* Processes, as the initial pid namespace numbers them, with their children. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, __u8);
} target_pids SEC(".maps");

/* Ids of cgroups, of which those below are meant, too. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u8);
} target_cgroups SEC(".maps");

#endif
