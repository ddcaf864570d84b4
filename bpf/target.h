// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//
// Whose connect(2) is meant, by the process that calls, and not by where its
// socket was made.

#ifndef FAULT_TARGET_H
#define FAULT_TARGET_H

#include "maps.h"
#include "targets.h"

#define COMM_SIZE 16
#define CGROUP_LEVELS 32 /* below which no cgroup is looked at */

/* Which kinds of selectors there are. */
enum selector_kinds {
	TARGET_NAMES = 1,
	TARGET_FILES = 2,
	TARGET_PIDS = 4,
	TARGET_USERS = 8,
	TARGET_CGROUPS = 16,
};
volatile const enum selector_kinds selectors = 0;

/* Whether only those are meant that a selector names; else all are that no
 * exception does. */
volatile const bool selects = false;

/* What is said about a process. */
enum selector_says {
	SAYS_TARGET = 1,
	SAYS_EXCEPT = 2,
};

/* A name as it is compared: cut, and with NULs behind. */
struct target_name {
	__u8 name[64];
};

/* What a name means as that of a process, which the kernel cuts earlier, and as
 * that of the file which it runs. */
struct name_means {
	enum selector_says process, file;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct target_name);
	__type(value, struct name_means);
} target_names SEC(".maps");

/* A file as the kernel tells it from others. */
struct target_file {
	__u64 ino;
	__u32 dev;
	__u32 padding;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct target_file);
	__type(value, enum selector_says);
} target_files SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u8);
} target_users SEC(".maps");

/* Enough of the kernel's types to find the name of a process, and what file it
 * runs. */
struct super_block___fault {
	__u32 s_dev;
} __attribute__((preserve_access_index));
struct inode___fault {
	unsigned long i_ino;
	struct super_block___fault *i_sb;
} __attribute__((preserve_access_index));
struct qstr___fault {
	const unsigned char *name;
} __attribute__((preserve_access_index));
struct dentry___fault {
	struct qstr___fault d_name;
} __attribute__((preserve_access_index));
struct path___fault {
	struct dentry___fault *dentry;
} __attribute__((preserve_access_index));
struct file___fault {
	struct path___fault f_path;
	struct inode___fault *f_inode;
} __attribute__((preserve_access_index));
struct mm_struct___fault {
	struct file___fault *exe_file;
} __attribute__((preserve_access_index));
struct task_struct___fault {
	struct mm_struct___fault *mm;
	struct task_struct___fault *group_leader;
	char comm[COMM_SIZE];
} __attribute__((preserve_access_index));

/* named is what is said about a process by its name: that of its first thread,
 * as the others name themselves, or that of the file which it runs. */
static __always_inline __u32 named(struct task_struct___fault *task, struct file___fault *file)
{
	struct target_name name = {};
	struct name_means *means;
	const unsigned char *base;
	__u32 said = 0;

	bpf_probe_read_kernel_str(name.name, COMM_SIZE, BPF_CORE_READ(task, group_leader)->comm);
	means = bpf_map_lookup_elem(&target_names, &name);
	if (means)
		said |= means->process;
	base = BPF_CORE_READ(file, f_path.dentry, d_name.name);
	__builtin_memset(&name, 0, sizeof(name));
	bpf_probe_read_kernel_str(name.name, sizeof(name.name), base);
	means = bpf_map_lookup_elem(&target_names, &name);
	if (means)
		said |= means->file;
	return said;
}

static __always_inline __u32 runs(struct file___fault *file)
{
	struct target_file key = {};
	enum selector_says *said;

	key.ino = BPF_CORE_READ(file, f_inode, i_ino);
	key.dev = BPF_CORE_READ(file, f_inode, i_sb, s_dev);
	said = bpf_map_lookup_elem(&target_files, &key);
	return said ? *said : 0;
}

/* said_of_process is what is said about the caller's process. */
static __always_inline __u32 said_of_process(void)
{
	struct task_struct___fault *task = (void *)bpf_get_current_task();
	struct file___fault *file = BPF_CORE_READ(task, mm, exe_file);
	__u32 said = 0;

	if (selectors & TARGET_NAMES)
		said |= named(task, file);
	if (selectors & TARGET_FILES)
		said |= runs(file);
	return said;
}

static __always_inline bool in_target_cgroup(void)
{
	for (int level = 0; level < CGROUP_LEVELS; level++) {
		__u64 id = bpf_get_current_ancestor_cgroup_id(level);

		if (!id)
			return false;
		if (bpf_map_lookup_elem(&target_cgroups, &id))
			return true;
	}
	return false;
}

/* is_target says whether the caller is meant: by any selector, or if there is
 * none, and not by an exception. */
static __always_inline bool is_target(bool reads_kernel)
{
	__u32 said = 0, id;

	if (reads_kernel && selectors & (TARGET_NAMES | TARGET_FILES)) {
		said = said_of_process();
		if (said & SAYS_EXCEPT)
			return false;
	}
	if (!selects || said & SAYS_TARGET)
		return true;
	id = bpf_get_current_pid_tgid() >> 32;
	if (selectors & TARGET_PIDS && bpf_map_lookup_elem(&target_pids, &id))
		return true;
	id = bpf_get_current_uid_gid();
	if (selectors & TARGET_USERS && bpf_map_lookup_elem(&target_users, &id))
		return true;
	return selectors & TARGET_CGROUPS && in_target_cgroup();
}

#endif
