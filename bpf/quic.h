// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//
// QUIC, which is UDP to port 443, is not carried. It passes and is counted, or
// fails at once, so that its client falls back to TCP.

#ifndef FAULT_QUIC_H
#define FAULT_QUIC_H

#include "maps.h"
#include "target.h"

#define QUIC_PORT 443

/* Whether it fails. */
volatile const bool blocks_quic = false;

/* The peer for which a socket was counted last, as one that is not connected
 * names it with each datagram. */
struct quic_peer {
	__u8 addr[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct quic_peer);
} quic_peers SEC(".maps");

/* quic says what becomes of a connect or a datagram to an upstream that
 * matches. TCP of other namespaces is left alone, so their QUIC is, too. */
static __always_inline enum verdict quic(struct bpf_sock_addr *ctx, struct origin *o)
{
	if (!ours(ctx, proxy_ip4, &o->netns))
		return VERDICT_OTHER_NETNS;
	if (!o->netns)
		return VERDICT_LIMIT;
	/* Which name is meant, nobody knows. */
	return blocks_quic && !o->shared ? VERDICT_QUIC_BLOCKED : VERDICT_QUIC;
}

/* turns says whether a socket turns to another peer than before. In doubt it
 * does. */
static __always_inline bool turns(struct bpf_sock *sk, const struct origin *o)
{
	struct quic_peer *peer = bpf_sk_storage_get(&quic_peers, sk, 0, 0);
	const __u64 *to = (const __u64 *)o->addr;
	__u64 *last;

	if (peer) {
		last = (__u64 *)peer->addr;
		if (last[0] == to[0] && last[1] == to[1])
			return false;
	} else {
		peer = bpf_sk_storage_get(&quic_peers, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
		if (!peer)
			return true;
	}
	__builtin_memcpy(peer->addr, o->addr, sizeof(peer->addr));
	return true;
}

/* datagram is a sendmsg(2) that names its peer. It returns whether it may go. */
static __always_inline int datagram(struct bpf_sock_addr *ctx, struct origin *o, bool reads_kernel)
{
	struct bpf_sock *sk = ctx->sk;
	enum verdict v;
	__u32 flags;

	if (!sk || ctx->type != SOCK_DGRAM || ctx->protocol != IPPROTO_UDP)
		return 1;
	o->port = ctx->user_port;
	if (meant(sk, o, &flags, reads_kernel) != VERDICT_INTERCEPTED)
		return 1;
	if (is_loopback(o) && !(flags & RULE_LOOPBACK))
		return 1;
	v = quic(ctx, o);
	if (v != VERDICT_QUIC && v != VERDICT_QUIC_BLOCKED)
		return 1;
	if (turns(sk, o))
		count(v);
	return v == VERDICT_QUIC;
}

static __always_inline int datagram4(struct bpf_sock_addr *ctx, bool reads_kernel)
{
	struct origin o = {.family = AF_INET};

	if (ctx->user_port != bpf_htons(QUIC_PORT))
		return 1;
	o.addr[10] = o.addr[11] = 0xff;
	*(__be32 *)&o.addr[12] = ctx->user_ip4;
	return datagram(ctx, &o, reads_kernel);
}

static __always_inline int datagram6(struct bpf_sock_addr *ctx, bool reads_kernel)
{
	struct origin o = {.family = AF_INET6};
	__u32 *addr = (__u32 *)o.addr;

	if (ctx->user_port != bpf_htons(QUIC_PORT))
		return 1;
	addr[0] = ctx->user_ip6[0];
	addr[1] = ctx->user_ip6[1];
	addr[2] = ctx->user_ip6[2];
	addr[3] = ctx->user_ip6[3];
	return datagram(ctx, &o, reads_kernel);
}

SEC("cgroup/sendmsg4")
int fault_sendmsg4(struct bpf_sock_addr *ctx)
{
	return datagram4(ctx, true);
}

SEC("cgroup/sendmsg6")
int fault_sendmsg6(struct bpf_sock_addr *ctx)
{
	return datagram6(ctx, true);
}

/* For a kernel without BTF, or an agent without CAP_PERFMON. */
SEC("cgroup/sendmsg4")
int fault_plainmsg4(struct bpf_sock_addr *ctx)
{
	return datagram4(ctx, false);
}

SEC("cgroup/sendmsg6")
int fault_plainmsg6(struct bpf_sock_addr *ctx)
{
	return datagram6(ctx, false);
}

#endif
