// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//
// getpeername(2): a caller sees the peer that it asked for, not our listener.

#ifndef FAULT_PEERNAME_H
#define FAULT_PEERNAME_H

#include "maps.h"

static __always_inline struct origin *destination(struct bpf_sock_addr *ctx)
{
	if (!ctx->sk)
		return NULL;
	return bpf_sk_storage_get(&destinations, ctx->sk, 0, 0);
}

SEC("cgroup/getpeername4")
int fault_peername4(struct bpf_sock_addr *ctx)
{
	struct origin *o = destination(ctx);

	if (o) {
		ctx->user_ip4 = *(__be32 *)&o->addr[12];
		ctx->user_port = o->port;
	}
	return 1;
}

SEC("cgroup/getpeername6")
int fault_peername6(struct bpf_sock_addr *ctx)
{
	struct origin *o = destination(ctx);
	__u32 *addr;

	if (o) {
		addr = (__u32 *)o->addr;
		ctx->user_ip6[0] = addr[0];
		ctx->user_ip6[1] = addr[1];
		ctx->user_ip6[2] = addr[2];
		ctx->user_ip6[3] = addr[3];
		ctx->user_port = o->port;
	}
	return 1;
}

#endif
