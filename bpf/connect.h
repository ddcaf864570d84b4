// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//
// connect(2): decide, remember the destination on the socket, rewrite. In
// doubt the call is left as it was.

#ifndef FAULT_CONNECT_H
#define FAULT_CONNECT_H

#include "maps.h"
#include "names.h"
#include "target.h"

/* bpf_sk_storage and the LPM trie are asked twice at most for a connect that
 * does not match: that path is the tax on the whole host. */
static __always_inline __u32 matching_rules(const struct origin *o)
{
	struct rule_key key = {.prefixlen = 144, .port = o->port};
	enum rule_flags *rule;
	__u32 flags = 0;

	__builtin_memcpy(key.addr, o->addr, sizeof(key.addr));
	rule = bpf_map_lookup_elem(&rules, &key);
	if (rule)
		flags = *rule;
	key.port = 0;
	rule = bpf_map_lookup_elem(&rules, &key);
	if (rule)
		flags |= *rule;
	return flags;
}

/* match is what the patterns say about the destination: rule_flags. Addresses
 * of names count as named one by one. Where names have one that speak against
 * each other, or of which one is included by its name only, what the client
 * says is to decide; a name that is excluded and alone has it excluded. */
static __always_inline __u32 match(struct origin *o)
{
	__u32 flags = matching_rules(o), named = naming(o);

	if (flags & RULE_EXCLUDE || !(named & (NAMING_INCLUDE | NAMING_EXCLUDE)))
		return flags;
	o->by_name = !(flags & RULE_INTERCEPT);
	if (named & NAMING_EXCLUDE) {
		if (!(named & NAMING_INCLUDE) && (o->by_name || !(named & NAMING_OTHER)))
			return RULE_EXCLUDE;
		o->shared = true;
	} else if (o->by_name) {
		o->shared = !!(named & NAMING_OTHER);
	}
	if (named & NAMING_INCLUDE)
		flags |= RULE_LOOPBACK | RULE_DNS;
	return flags | RULE_INTERCEPT;
}

static __always_inline bool is_mapped(const struct origin *o)
{
	const __u32 *w = (const __u32 *)o->addr;

	return !w[0] && !w[1] && w[2] == bpf_htonl(0xffff);
}

/* Loopback as the kernel routes it: 127/8 and ::1, and the unspecified
 * address, which connect(2) takes for this host. */
static __always_inline bool is_loopback(const struct origin *o)
{
	const __u32 *w = (const __u32 *)o->addr;

	if (is_mapped(o))
		return o->addr[12] == 127 || !w[3];
	return !w[0] && !w[1] && !w[2] && (!w[3] || w[3] == bpf_htonl(1));
}

static __always_inline bool is_link_local6(const struct origin *o)
{
	return o->addr[0] == 0xfe && (o->addr[1] & 0xc0) == 0x80;
}

/* ours says whether a listener of this agent is at ip4 where the caller is,
 * and if so for which namespace it takes connections. */
static __always_inline bool ours(struct bpf_sock_addr *ctx, __be32 ip4, __u64 *netns)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk;
	__u64 *tag;

	tuple.ipv4.daddr = ip4;
	tuple.ipv4.dport = proxy_port;
	sk = bpf_sk_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return false;
	tag = bpf_sk_storage_get(&agent_sockets, sk, 0, 0);
	if (tag)
		*netns = *tag;
	bpf_sk_release(sk);
	return tag;
}

static __always_inline void describe_caller(struct origin *o)
{
	__u64 ids = bpf_get_current_pid_tgid();

	o->pid = ids >> 32;
	o->tid = ids;
	o->uid = bpf_get_current_uid_gid();
	o->cgroup = bpf_get_current_cgroup_id();
	if (names_callers)
		bpf_get_current_comm(o->comm, sizeof(o->comm));
}

/* Enough of the kernel's types to find what is of IPv4 on an IPv6 socket, and
 * one bit; their places are relocated. */
struct sock_common___fault {
	unsigned char skc_ipv6only : 1;
} __attribute__((preserve_access_index));
struct sock___fault {
	struct sock_common___fault __sk_common;
} __attribute__((preserve_access_index));
struct inet_sock___fault {
	struct sock___fault sk;
	__u8 tos;
} __attribute__((preserve_access_index));
struct inet_connection_sock___fault {
	struct inet_sock___fault icsk_inet;
} __attribute__((preserve_access_index));
struct tcp_sock___fault {
	struct inet_connection_sock___fault inet_conn;
} __attribute__((preserve_access_index));
struct tcp6_sock___fault {
	struct tcp_sock___fault tcp;
} __attribute__((preserve_access_index));

/* type_of_service is what the caller's packets would have had. Of IPv4 through
 * an IPv6 socket no helper tells. */
static __always_inline __u8 type_of_service(struct bpf_sock_addr *ctx, const struct origin *o,
					    bool reads_kernel)
{
	struct tcp6_sock___fault *tcp6;
	int tos = 0;

	if (o->family == AF_INET) {
		bpf_getsockopt(ctx, SOL_IP, IP_TOS, &tos, sizeof(tos));
	} else if (!is_mapped(o)) {
		bpf_getsockopt(ctx, SOL_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
	} else if (reads_kernel) {
		tcp6 = (void *)bpf_skc_to_tcp6_sock(ctx->sk);
		if (tcp6)
			return BPF_CORE_READ(tcp6, tcp.inet_conn.icsk_inet.tos);
	}
	return tos;
}

/* is_agents says whether another agent dials. It costs more than to compare the
 * priority, and is asked only about what would be diverted. */
static __always_inline bool is_agents(struct bpf_sock_addr *ctx)
{
	__u32 keepalive = 0;

	if (bpf_getsockopt(ctx, SOL_TCP, TCP_KEEPINTVL, &keepalive, sizeof(keepalive)))
		return false;
	return keepalive == agent_keepalive;
}

/* meant is the part of the decision that is about the destination and the
 * caller alone: INTERCEPTED is to go on, MAX concerns nobody. */
static __always_inline enum verdict meant(struct bpf_sock *sk, struct origin *o, __u32 *flags,
					  bool reads_kernel)
{
	enum verdict v = VERDICT_INTERCEPTED;

	if (sk->priority == agent_priority || bpf_sk_storage_get(&agent_sockets, sk, 0, 0))
		return VERDICT_AGENT;
	*flags = match(o);
	if (*flags & RULE_EXCLUDE)
		v = VERDICT_EXCLUDED;
	else if (!(*flags & RULE_INTERCEPT))
		v = VERDICT_NOT_MATCHED;
	if (is_target(reads_kernel))
		return v;
	return v == VERDICT_INTERCEPTED ? VERDICT_NOT_TARGETED : VERDICT_MAX;
}

/* Needs what is above. */
#include "quic.h"

/* decide says what is to become of the connect; only for INTERCEPTED has it
 * remembered `o` on the socket. */
static __always_inline enum verdict decide(struct bpf_sock_addr *ctx, struct bpf_sock *sk,
					   struct origin *o, enum verdict ipv6_peer,
					   bool reads_kernel)
{
	struct origin *kept;
	enum verdict v;
	__u32 flags;

	v = meant(sk, o, &flags, reads_kernel);
	if (v == VERDICT_NOT_TARGETED && !ours(ctx, proxy_ip4, &o->netns))
		return VERDICT_MAX; /* of the rest of the host */
	if (v != VERDICT_INTERCEPTED)
		return v;
	if (ctx->type == SOCK_DGRAM && o->port != bpf_htons(QUIC_PORT))
		return VERDICT_UDP;
	if (is_loopback(o) && !(flags & RULE_LOOPBACK))
		return ctx->type == SOCK_DGRAM ? VERDICT_UDP : VERDICT_LOOPBACK;
	if (ctx->type == SOCK_DGRAM)
		return quic(ctx, o);
	if (o->port == bpf_htons(DNS_PORT) && !(flags & RULE_DNS))
		return VERDICT_DNS;
	if (is_link_local6(o))
		return VERDICT_LINK_LOCAL;
	if (sk->bound_dev_if && sk->bound_dev_if != LOOPBACK_IFINDEX)
		return VERDICT_DEVICE_BOUND;
	if (ipv6_peer != VERDICT_INTERCEPTED)
		return ipv6_peer;
	if (is_agents(ctx))
		return VERDICT_AGENT;
	/* A rewrite would reach nobody, or somebody else. */
	if (!ours(ctx, proxy_ip4, &o->netns))
		return VERDICT_OTHER_NETNS;
	if (!o->netns)
		return VERDICT_LIMIT;
	/* Our listener by another of the host's addresses: not a flow, but
	 * somebody who speaks to the proxy. */
	if (o->port == proxy_port && is_mapped(o) && ours(ctx, *(__be32 *)&o->addr[12], &o->netns))
		return VERDICT_AGENT;
	/* The margin is more than all CPUs can be between here and sockops. */
	if (origins_put - origins_taken >= ORIGINS_MAX - 1024)
		return VERDICT_MAP_FULL;
	describe_caller(o);
	o->mark = sk->mark;
	o->tos = type_of_service(ctx, o, reads_kernel);
	kept = bpf_sk_storage_get(&destinations, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!kept)
		return VERDICT_MAP_FULL;
	*kept = *o;
	return VERDICT_INTERCEPTED;
}

/* intercept says what becomes of the call: if it is INTERCEPTED, the caller's
 * sockaddr is to be rewritten. */
static __always_inline enum verdict intercept(struct bpf_sock_addr *ctx, struct origin *o,
					      enum verdict ipv6_peer, bool reads_kernel)
{
	struct bpf_sock *sk = ctx->sk;
	enum verdict v;

	/* Only TCP and UDP are ours to judge (SCTP is a stream socket, too). */
	if (!sk)
		return VERDICT_MAX;
	if (!(ctx->type == SOCK_STREAM && ctx->protocol == IPPROTO_TCP) &&
	    !(ctx->type == SOCK_DGRAM && ctx->protocol == IPPROTO_UDP))
		return VERDICT_MAX;
	o->port = ctx->user_port;
	v = decide(ctx, sk, o, ipv6_peer, reads_kernel);
	if (v < VERDICT_MAX)
		count(v);
	if (v == VERDICT_QUIC) /* its datagrams are not counted, too */
		turns(sk, o);
	if (v != VERDICT_INTERCEPTED) /* the socket may have had one that was, before */
		bpf_sk_storage_delete(&destinations, sk);
	return v;
}

static __always_inline int divert4(struct bpf_sock_addr *ctx, bool reads_kernel)
{
	struct origin o = {.family = AF_INET};
	enum verdict v;

	o.addr[10] = o.addr[11] = 0xff;
	*(__be32 *)&o.addr[12] = ctx->user_ip4;
	if (ctx->sk && ctx->sk->src_ip4) {
		o.source[10] = o.source[11] = 0xff;
		*(__be32 *)&o.source[12] = ctx->sk->src_ip4;
	}
	v = intercept(ctx, &o, VERDICT_INTERCEPTED, reads_kernel);
	if (v == VERDICT_INTERCEPTED) {
		ctx->user_ip4 = proxy_ip4;
		ctx->user_port = proxy_port;
	}
	return v != VERDICT_QUIC_BLOCKED;
}

/* ipv6_peer says whether the socket can have an IPv4-mapped peer, which our
 * listener is. The kernel sets skc_ipv6only for IPV6_V6ONLY and for a bind(2)
 * to an IPv6 address alike. */
static __always_inline enum verdict ipv6_peer(struct bpf_sock *sk)
{
	struct tcp6_sock___fault *tcp6 = (void *)bpf_skc_to_tcp6_sock(sk);

	if (!tcp6)
		return VERDICT_IPV6_UNKNOWN;
	if (!BPF_CORE_READ_BITFIELD(&tcp6->tcp.inet_conn.icsk_inet.sk.__sk_common, skc_ipv6only))
		return VERDICT_INTERCEPTED;
	if (sk->src_ip6[0] || sk->src_ip6[1] || sk->src_ip6[2] || sk->src_ip6[3])
		return VERDICT_SOURCE_BOUND;
	return VERDICT_IPV6_ONLY;
}

static __always_inline int divert6(struct bpf_sock_addr *ctx, bool reads_kernel)
{
	struct origin o = {.family = AF_INET6};
	enum verdict v, peer = VERDICT_INTERCEPTED;
	__u32 *addr = (__u32 *)o.addr;

	addr[0] = ctx->user_ip6[0];
	addr[1] = ctx->user_ip6[1];
	addr[2] = ctx->user_ip6[2];
	addr[3] = ctx->user_ip6[3];
	if (is_mapped(&o)) {
		if (ctx->sk && ctx->sk->src_ip4) {
			o.source[10] = o.source[11] = 0xff;
			*(__be32 *)&o.source[12] = ctx->sk->src_ip4;
		}
	} else if (reads_kernel && ctx->sk && ctx->type == SOCK_STREAM) {
		peer = ipv6_peer(ctx->sk);
	} else {
		peer = VERDICT_IPV6_UNKNOWN;
	}
	v = intercept(ctx, &o, peer, reads_kernel);
	if (v == VERDICT_INTERCEPTED) {
		ctx->user_ip6[0] = 0;
		ctx->user_ip6[1] = 0;
		ctx->user_ip6[2] = bpf_htonl(0xffff);
		ctx->user_ip6[3] = proxy_ip4;
		ctx->user_port = proxy_port;
	}
	return v != VERDICT_QUIC_BLOCKED;
}

SEC("cgroup/connect4")
int fault_connect4(struct bpf_sock_addr *ctx)
{
	return divert4(ctx, true);
}

SEC("cgroup/connect6")
int fault_connect6(struct bpf_sock_addr *ctx)
{
	return divert6(ctx, true);
}

/* For a kernel without BTF, or an agent without CAP_PERFMON: native IPv6 is
 * left alone, IPv4 through an IPv6 socket is not. Processes have no names. */
SEC("cgroup/connect4")
int fault_plain4(struct bpf_sock_addr *ctx)
{
	return divert4(ctx, false);
}

SEC("cgroup/connect6")
int fault_mapped6(struct bpf_sock_addr *ctx)
{
	return divert6(ctx, false);
}

#endif
