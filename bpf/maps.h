// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//
// The types, settings and maps that the programs share with each other and
// with the loader. bpf2go turns the types into Go, so nothing is mirrored by
// hand. Addresses are 16 bytes with IPv4 in its mapped form, ports and
// addresses are in network order unless a name says otherwise.

#ifndef FAULT_MAPS_H
#define FAULT_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define LOOPBACK_IFINDEX 1
#define DNS_PORT 53
#define SOL_IP 0
#define IP_TOS 1
#define SOL_TCP 6
#define TCP_KEEPINTVL 5
#define SOL_IPV6 41
#define IPV6_TCLASS 67
#define ORIGINS_MAX 65536
#define LISTENERS_MAX 65536

/* Where the listeners of this agent are, in network order: at the same address
 * in each network namespace that has one. Callers in others are not served. */
volatile const __be32 proxy_ip4 = 0;
volatile const __be16 proxy_port = 0;

/* Whether callers may be asked for their names: some kernels want CAP_PERFMON
 * for that. */
volatile const bool names_callers = true;

/* Two agents do not know each other's sockets, and each would divert what the
 * other dials, for ever. So agents dial with a mark on their sockets: seconds
 * between keepalives, which are off. Nobody else sets that, and anybody may. */
volatile const __u32 agent_keepalive = 31013;

/* The mark for kernels that do not tell programs about the other one (before
 * Linux 6.1): SO_PRIORITY, which takes CAP_NET_ADMIN. The low bits, by which
 * queues choose a band, are those of no priority. */
volatile const __u32 agent_priority = 0x0fa17000;

/* What became of one connect(2). Everything but INTERCEPTED and QUIC_BLOCKED
 * left the call as it was; the order is that of the checks. */
enum verdict {
	VERDICT_INTERCEPTED,
	VERDICT_AGENT,	      /* a socket of an agent, or a connect to our listener */
	VERDICT_NOT_MATCHED,  /* no --upstream pattern names the destination */
	VERDICT_EXCLUDED,     /* a !pattern names it */
	VERDICT_NOT_TARGETED, /* of a process here that is not meant */
	VERDICT_UDP,	      /* connected UDP: only TCP is carried */
	VERDICT_LOOPBACK,     /* not named, so not meant */
	VERDICT_DNS,	      /* the same for TCP port 53 */
	VERDICT_LINK_LOCAL,   /* its scope does not survive a second dial */
	VERDICT_DEVICE_BOUND, /* cannot reach the loopback device */
	VERDICT_SOURCE_BOUND, /* bound to an IPv6 address: no mapped peer */
	VERDICT_IPV6_ONLY,    /* IPV6_V6ONLY: no mapped peer */
	VERDICT_IPV6_UNKNOWN, /* the two above cannot be told apart here */
	VERDICT_OTHER_NETNS,  /* no listener of ours where the caller is */
	VERDICT_LIMIT,	      /* the agent has as many flows as it can carry */
	VERDICT_MAP_FULL,     /* nowhere to remember the destination */
	VERDICT_ORIGIN_LOST,  /* diverted, but the record was refused: a bug */
	VERDICT_QUIC,	      /* UDP to port 443 of a matching upstream: not carried */
	VERDICT_QUIC_BLOCKED, /* the same, which was refused */
	VERDICT_MAX,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, VERDICT_MAX);
	__type(key, __u32);
	__type(value, __u64);
} verdicts SEC(".maps");

/* One --upstream pattern: a port (0: any) and an address prefix. The trie
 * compares the port first, so that one look-up per port class (this port, any
 * port) finds the longest prefix in it. */
struct rule_key {
	__u32 prefixlen; /* bits of port and addr together: 16 to 144 */
	__be16 port;
	__u8 addr[16];
} __attribute__((packed));

enum rule_flags {
	RULE_INTERCEPT = 1,
	RULE_EXCLUDE = 2,
	RULE_LOOPBACK = 4, /* names loopback, which `*` does not mean */
	RULE_DNS = 8,	   /* names TCP port 53, which `*` does not mean */
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct rule_key);
	__type(value, enum rule_flags);
} rules SEC(".maps");

/* On a socket of the agent: the network namespace (its inode number) that a
 * listener serves; 0 on one that takes no more, and on those that dial. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} agent_sockets SEC(".maps");

/* The network namespaces of the listeners at which SYNs are held, by the
 * cookies of their sockets: their storage cannot be read where SYNs arrive. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, LISTENERS_MAX);
	__type(key, __u64);
	__type(value, __u64);
} listeners SEC(".maps");

/* What is remembered of an intercepted connection. */
struct origin {
	__u64 netns;	 /* inode number, from the listener that serves it */
	__u64 cgroup;	 /* id of the caller's cgroup */
	__u64 closed_at; /* CLOCK_MONOTONIC ns; 0 while the socket lives */
	__u32 pid;	 /* as the initial pid namespace numbers it */
	__u32 tid;
	__u32 uid;
	__be16 port;
	__u16 family;	 /* of the connect(2) call: AF_INET or AF_INET6 */
	__u8 addr[16];	 /* where it was going */
	__u8 source[16]; /* the address that the caller bound, or zero */
	char comm[16];	 /* name of the calling thread */
	__u32 mark;	 /* SO_MARK of the caller's socket */
	__be32 seq;	 /* of the SYN that is held */
	__u8 held;
	__u8 tos;     /* IP_TOS of the caller's socket, or IPV6_TCLASS */
	__u8 by_name; /* a name brought it, not an address */
	__u8 shared;  /* names have the address that would not have */
	__u8 padding[4];
};

/* The record travels on the caller's socket from connect(2) to the moment its
 * source port is known, and stays there for getpeername(2). */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct origin);
} destinations SEC(".maps");

/* A connection between a caller and our listener. The listener is IPv4, and so
 * is every such connection (IPv6 callers use mapped addresses). */
struct flow_key {
	__u64 netns;
	__be32 client_ip4;
	__be32 proxy_ip4;
	__be16 client_port;
	__be16 proxy_port;
	__be32 seq; /* of a SYN; 0 in `origins`, where the connection counts */
};

/* Connections that wait to be accepted; the agent takes each one out. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, ORIGINS_MAX);
	__type(key, struct flow_key);
	__type(value, struct origin);
} origins SEC(".maps");

/* The SYNs that are let in; whoever takes the origin takes this out, too. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, ORIGINS_MAX);
	__type(key, struct flow_key);
	__type(value, __u8);
} admitted SEC(".maps");

#define SYN_MAX 120 /* the two longest headers */

/* A SYN that begins to wait, or the caller of one that has gone. */
struct waiting {
	struct flow_key key;
	__u32 length; /* of the packet */
	bool gone;
	__u8 packet[SYN_MAX];
};

/* Room for the SYNs of some 25,000 connections at one moment. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} waitings SEC(".maps");

/* origins_put - origins_taken is how many entries `origins` has. The programs
 * write the first, the agent alone the second. */
__u64 origins_put;
__u64 origins_taken;

static __always_inline void count(__u32 verdict)
{
	__u64 *n = bpf_map_lookup_elem(&verdicts, &verdict);

	if (n)
		(*n)++;
}

#endif
