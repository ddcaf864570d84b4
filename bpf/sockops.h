// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//
// TCP's own events: file the destination under the connection key before the
// SYN leaves, so that the agent finds it however quickly it accepts.

#ifndef FAULT_SOCKOPS_H
#define FAULT_SOCKOPS_H

#include "hold.h"
#include "maps.h"

static __always_inline void key_of(struct bpf_sock_ops *ctx, const struct origin *o,
				   struct flow_key *key)
{
	key->netns = o->netns;
	key->client_ip4 = ctx->local_ip4;
	key->proxy_ip4 = ctx->remote_ip4;
	key->client_port = bpf_htons(ctx->local_port);
	key->proxy_port = bpf_htons(bpf_ntohl(ctx->remote_port));
}

static __always_inline void file_origin(struct bpf_sock_ops *ctx, const struct origin *o)
{
	struct flow_key key = {};

	key_of(ctx, o, &key);
	/* Not ours any more if another program sent it elsewhere after us. */
	if (key.proxy_ip4 != proxy_ip4 || key.proxy_port != proxy_port)
		return;
	switch (bpf_map_update_elem(&origins, &key, o, BPF_NOEXIST)) {
	case 0:
		__sync_fetch_and_add(&origins_put, 1);
		break;
	case -17: /* EEXIST: left by a connection with the same ports, now gone */
		bpf_map_update_elem(&origins, &key, o, BPF_ANY);
		break;
	default:
		count(VERDICT_ORIGIN_LOST);
		return;
	}
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
}

/* A caller may be gone before the agent has accepted its connection, with
 * bytes that are still to be carried. So only a connection that never was is
 * forgotten here; of others the time is noted, for the agent to clean up. */
static __always_inline void closed(struct bpf_sock_ops *ctx, const struct origin *o)
{
	struct flow_key key = {};
	struct origin *filed;

	key_of(ctx, o, &key);
	filed = bpf_map_lookup_elem(&origins, &key);
	if (!filed)
		return;
	if (ctx->args[0] == BPF_TCP_SYN_SENT) {
		forget(&key, filed);
		if (!bpf_map_delete_elem(&origins, &key))
			__sync_fetch_and_add(&origins_put, -1);
		return;
	}
	filed->closed_at = bpf_ktime_get_ns();
}

SEC("sockops")
int fault_sockops(struct bpf_sock_ops *ctx)
{
	struct bpf_sock *sk;
	struct origin *o;

	if (ctx->op != BPF_SOCK_OPS_TCP_CONNECT_CB && ctx->op != BPF_SOCK_OPS_STATE_CB)
		return 1;
	sk = ctx->sk;
	if (!sk)
		return 1;
	o = bpf_sk_storage_get(&destinations, sk, 0, 0);
	if (!o)
		return 1;
	if (ctx->op == BPF_SOCK_OPS_TCP_CONNECT_CB)
		file_origin(ctx, o);
	else if (ctx->args[1] == BPF_TCP_CLOSE)
		closed(ctx, o);
	return 1;
}

#endif
