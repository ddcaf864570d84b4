// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//
// Whose connect(2) is meant, by the process that calls.

#ifndef FAULT_TARGET_H
#define FAULT_TARGET_H

#include "maps.h"

/* Enough of the kernel's types to find a process's name. */
struct task_struct___fault {
	struct task_struct___fault *group_leader;
	char comm[16];
} __attribute__((preserve_access_index));

/* A process has the name of its first thread; the others name themselves. Old
 * kernels (5.10) leave the rest of a longer name behind the end of the next
 * one, so only the bytes up to there count. */
static __always_inline bool has_target_name(void)
{
	struct task_struct___fault *task = (void *)bpf_get_current_task();
	char comm[sizeof(target_name)];

	if (BPF_CORE_READ_INTO(&comm, task, group_leader, comm))
		return false;
#pragma unroll
	for (int i = 0; i < sizeof(comm); i++) {
		if (comm[i] != target_name[i])
			return false;
		if (!comm[i])
			break;
	}
	return true;
}

static __always_inline bool is_target(bool reads_kernel)
{
	if (target_pid)
		return bpf_get_current_pid_tgid() >> 32 == target_pid;
	if (target_name[0])
		return reads_kernel && has_target_name();
	return true;
}

#endif
