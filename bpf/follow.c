//go:build ignore

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//
// What belongs to selectors of processes later: children before they run, and
// cgroups before anybody is in them. Only loaded where such a selector is.

#include "targets.h"

/* Enough of the kernel's types; what tracepoints give may be read directly. */
struct atomic___fault {
	int counter;
} __attribute__((preserve_access_index));
struct signal_struct___fault {
	struct atomic___fault live;
} __attribute__((preserve_access_index));
struct task_struct___fault {
	int tgid;
	struct signal_struct___fault *signal;
} __attribute__((preserve_access_index));
struct cgroup_root___fault {
	int hierarchy_id;
} __attribute__((preserve_access_index));
struct kernfs_node___fault {
	__u64 id;
	const char *name;
} __attribute__((preserve_access_index));
struct cgroup___fault {
	struct kernfs_node___fault *kn;
	struct cgroup_root___fault *root;
} __attribute__((preserve_access_index));

/* Names of cgroups that are meant wherever they are. */
struct cgroup_name {
	__u8 name[256];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct cgroup_name);
	__type(value, __u8);
} target_cgroup_names SEC(".maps");

SEC("tp_btf/sched_process_fork")
int fault_fork(__u64 *ctx)
{
	struct task_struct___fault *parent = (void *)ctx[0], *child = (void *)ctx[1];
	__u32 from = parent->tgid, to = child->tgid;
	__u8 yes = 1;

	if (from != to && bpf_map_lookup_elem(&target_pids, &from))
		bpf_map_update_elem(&target_pids, &to, &yes, BPF_ANY);
	return 0;
}

/* The number of a process that has ended may become another's. */
SEC("tp_btf/sched_process_exit")
int fault_exit(__u64 *ctx)
{
	struct task_struct___fault *task = (void *)ctx[0];
	__u32 id = task->tgid;

	if (!task->signal->live.counter) /* it was the last thread */
		bpf_map_delete_elem(&target_pids, &id);
	return 0;
}

SEC("tp_btf/cgroup_mkdir")
int fault_mkdir(__u64 *ctx)
{
	struct cgroup___fault *cgroup = (void *)ctx[0];
	struct cgroup_name name = {};
	__u8 yes = 1;
	__u64 id;

	if (cgroup->root->hierarchy_id) /* of version 1 */
		return 0;
	bpf_probe_read_kernel_str(name.name, sizeof(name.name), cgroup->kn->name);
	if (!bpf_map_lookup_elem(&target_cgroup_names, &name))
		return 0;
	id = cgroup->kn->id;
	bpf_map_update_elem(&target_cgroups, &id, &yes, BPF_ANY);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int fault_rmdir(__u64 *ctx)
{
	struct cgroup___fault *cgroup = (void *)ctx[0];
	__u64 id = cgroup->kn->id;

	if (!cgroup->root->hierarchy_id)
		bpf_map_delete_elem(&target_cgroups, &id);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
