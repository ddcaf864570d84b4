// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//
// Names of --upstream: which addresses they have. The agent says what it has
// looked up; what DNS answers say to programs is learnt before they read it,
// and so before they connect.

#ifndef FAULT_NAMES_H
#define FAULT_NAMES_H

#include "maps.h"

#define NAME_MAX 255	/* bytes of a name in a packet, with the end */
#define LABELS_MAX 32	/* of the owner of a record, unless compressed */
#define RECORDS_MAX 64	/* of an answer that are looked at */
#define OUTCOMES_MAX 64 /* what patterns say together about names */
#define DNS_CLASS_IN 1
#define DNS_TYPE_A 1
#define DNS_TYPE_AAAA 28

/* Whether there are patterns with names at all. */
volatile const bool by_name = false;

/* A name from its end to its beginning, in small letters, so that a prefix of
 * it is a domain: "moc.elpmaxe" and a NUL for a name, or a dot for all below. */
struct name_key {
	__u32 prefixlen;
	__u8 name[256];
};

/* To a pattern's name, what all patterns say about it: an outcome. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct name_key);
	__type(value, __u32);
} names SEC(".maps");

/* A set of outcomes: a byte is 1, or 0. Bytes, so that CPUs that add different
 * ones at a time need no lock. */
struct outcomes {
	__u8 has[OUTCOMES_MAX];
} __attribute__((aligned(8)));

/* Which outcomes include a port, and which exclude it. 0 is every port that is
 * not there. */
struct port_outcomes {
	struct outcomes include, exclude;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __be16);
	__type(value, struct port_outcomes);
} name_ports SEC(".maps");

/* The outcomes of the names that have an address, by the agent's look-ups. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u8[16]);
	__type(value, struct outcomes);
} resolved SEC(".maps");

/* The same by answers that programs got. Anybody who can send an answer adds to
 * it, so it is bounded, and forgets what was not used for longest. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u8[16]);
	__type(value, struct outcomes);
} learnt SEC(".maps");

/* Addresses that names have which no pattern names. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u8[16]);
	__type(value, __u8);
} strangers SEC(".maps");

struct question {
	__u8 name[256]; /* ".www.example.com" */
	struct name_key key;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct question);
} questions SEC(".maps");

struct dns_header {
	__be16 id, flags, questions, answers, authorities, additionals;
};

struct dns_record {
	__be16 type, class, ttl[2], length;
};

/* dns_message finds the DNS message in a packet with an IP header; 0 if it is
 * not one. */
static __always_inline __u32 dns_message(struct __sk_buff *skb)
{
	__u8 version, protocol;
	__u32 udp = 40;
	__be16 port;

	if (bpf_skb_load_bytes(skb, 0, &version, 1))
		return 0;
	if (version >> 4 == 4) {
		udp = (version & 0xf) * 4;
		if (bpf_skb_load_bytes(skb, 9, &protocol, 1))
			return 0;
	} else if (bpf_skb_load_bytes(skb, 6, &protocol, 1)) {
		return 0;
	}
	if (protocol != IPPROTO_UDP || bpf_skb_load_bytes(skb, udp, &port, 2) ||
	    port != bpf_htons(DNS_PORT))
		return 0;
	return udp + 8;
}

/* read_name reads the name at an offset, which is not compressed, as the first
 * name of a message cannot be. It returns the length in the packet without the
 * end; 0 for the root or if it is malformed. */
static __always_inline __u32 read_name(struct __sk_buff *skb, __u32 at, struct question *q)
{
	__u32 n, left = 0;
	__u8 c;

	for (n = 0; n < NAME_MAX; n++) {
		if (bpf_skb_load_bytes(skb, at + n, &c, 1))
			return 0;
		if (!left) {
			if (!c)
				return n;
			if (c > 63)
				return 0;
			left = c;
			c = '.';
		} else {
			left--;
			if (c >= 'A' && c <= 'Z')
				c |= 0x20;
			else if (c == '.' || !c)
				c = 0xff; /* no end of a label or name */
		}
		q->name[n] = c;
	}
	return 0;
}

/* outcome_of is what the patterns say about the name of length n, from 1; -1
 * if nothing. */
static __always_inline __s64 outcome_of(struct question *q, __u32 n)
{
	__u32 *outcome;
	__u32 i;

	for (i = 0; i < NAME_MAX; i++) {
		if (i + 1 >= n)
			break;
		q->key.name[i] = q->name[(n - 1 - i) & 0xff];
	}
	q->key.name[(n - 1) & 0xff] = 0;
	q->key.prefixlen = n * 8;
	outcome = bpf_map_lookup_elem(&names, &q->key);
	return outcome ? *outcome : -1;
}

/* skip_name is the offset behind a name; 0 if it is malformed. It is not
 * static, so that kernels check it once, and not at each call. */
__attribute__((noinline)) int skip_name(struct __sk_buff *skb, __u32 at)
{
	__u8 n;

	for (int i = 0; i < LABELS_MAX; i++) {
		if (bpf_skb_load_bytes(skb, at, &n, 1))
			return 0;
		if (n >= 0xc0)
			return at + 2;
		if (n > 63)
			return 0;
		at += n + 1;
		if (!n)
			return at;
	}
	return 0;
}

static __always_inline void learn(const void *addr, __s64 outcome)
{
	struct outcomes *known, none = {};
	__u8 yes = 1;

	if (outcome < 0) {
		if (!bpf_map_lookup_elem(&strangers, addr))
			bpf_map_update_elem(&strangers, addr, &yes, BPF_ANY);
		return;
	}
	known = bpf_map_lookup_elem(&learnt, addr);
	if (!known) {
		bpf_map_update_elem(&learnt, addr, &none, BPF_NOEXIST);
		known = bpf_map_lookup_elem(&learnt, addr);
	}
	if (known)
		known->has[outcome & (OUTCOMES_MAX - 1)] = 1;
}

/* learn_record learns the record whose owner's name begins at an offset, and
 * returns where it ends; 0 if it does not. */
__attribute__((noinline)) int learn_record(struct __sk_buff *skb, __u32 at, __s64 outcome)
{
	struct dns_record record;
	__u32 addr[4] = {};

	at = skip_name(skb, at);
	if (!at || bpf_skb_load_bytes(skb, at, &record, sizeof(record)))
		return 0;
	at += sizeof(record);
	if (record.class == bpf_htons(DNS_CLASS_IN)) {
		if (record.type == bpf_htons(DNS_TYPE_A) && record.length == bpf_htons(4)) {
			addr[2] = bpf_htonl(0xffff);
			if (!bpf_skb_load_bytes(skb, at, &addr[3], 4))
				learn(addr, outcome);
		} else if (record.type == bpf_htons(DNS_TYPE_AAAA) &&
			   record.length == bpf_htons(16)) {
			if (!bpf_skb_load_bytes(skb, at, addr, 16))
				learn(addr, outcome);
		}
	}
	return at + bpf_ntohs(record.length);
}

static __always_inline void learn_answer(struct __sk_buff *skb)
{
	struct dns_header header;
	struct question *q;
	__u32 at, n, zero = 0;
	__s64 outcome;

	at = dns_message(skb);
	if (!at || bpf_skb_load_bytes(skb, at, &header, sizeof(header)))
		return;
	/* A response to a query, without an error. */
	if ((header.flags & bpf_htons(0xf80f)) != bpf_htons(0x8000) ||
	    header.questions != bpf_htons(1))
		return;
	at += sizeof(header);
	q = bpf_map_lookup_elem(&questions, &zero);
	if (!q)
		return;
	n = read_name(skb, at, q);
	if (!n || n > NAME_MAX)
		return;
	outcome = outcome_of(q, n);
	at += n + 5; /* the end, and the type and class */
	for (int i = 0; i < RECORDS_MAX; i++) {
		if (i >= bpf_ntohs(header.answers))
			return;
		at = learn_record(skb, at, outcome);
		if (!at)
			return;
	}
}

/* fault_learn sees what comes in for the cgroup's sockets, before they do. It
 * lets everything in. */
SEC("cgroup_skb/ingress")
int fault_learn(struct __sk_buff *skb)
{
	learn_answer(skb);
	return 1;
}

/* How names speak about a destination. */
enum naming {
	NAMING_INCLUDE = 1,
	NAMING_EXCLUDE = 2,
	NAMING_OTHER = 4, /* other names have the address, too */
};

/* Bits of outcomes, by what they say about a port. */
struct said {
	__u64 include, exclude, neither;
};

static __always_inline void collect(const struct outcomes *known, const struct port_outcomes *port,
				    struct said *said)
{
	if (!known)
		return;
#pragma unroll
	for (int i = 0; i < OUTCOMES_MAX / 8; i++) {
		__u64 all = ((const __u64 *)known->has)[i];
		__u64 include = ((const __u64 *)port->include.has)[i];
		__u64 exclude = ((const __u64 *)port->exclude.has)[i];

		said->include |= all & include;
		said->exclude |= all & exclude;
		said->neither |= all & ~(include | exclude);
	}
}

static __always_inline __u32 naming(const struct origin *o)
{
	const struct port_outcomes *port;
	struct said said = {};
	__be16 any = 0;
	__u32 flags = 0;

	if (!by_name)
		return 0;
	port = bpf_map_lookup_elem(&name_ports, &o->port);
	if (!port)
		port = bpf_map_lookup_elem(&name_ports, &any);
	if (!port)
		return 0;
	collect(bpf_map_lookup_elem(&resolved, o->addr), port, &said);
	collect(bpf_map_lookup_elem(&learnt, o->addr), port, &said);
	if (said.include)
		flags |= NAMING_INCLUDE;
	if (said.exclude)
		flags |= NAMING_EXCLUDE;
	if (said.neither || (flags && bpf_map_lookup_elem(&strangers, o->addr)))
		flags |= NAMING_OTHER;
	return flags;
}

#endif
