// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//
// The socket filter of our listeners: the SYN of a diverted connection waits
// until the agent, which dials the upstream meanwhile, lets it in.

#ifndef FAULT_HOLD_H
#define FAULT_HOLD_H

#include "maps.h"

#define PASS 0xffff /* all bytes */
#define DROP 0
#define SYN_OF_FLAGS 0x17 /* among FIN, SYN, RST and ACK */
#define SYN_ALONE 0x02

/* fault_hold sees what arrives at a listener, from the TCP header on: SYNs and
 * the last packets of handshakes. */
SEC("socket")
int fault_hold(struct __sk_buff *skb)
{
	struct flow_key key = {};
	struct waiting *w;
	__u64 cookie, *netns;
	struct origin *o;
	__u8 flags, offset, version;
	__u32 length;
	__be32 seq;

	if (bpf_skb_load_bytes(skb, 13, &flags, 1) || (flags & SYN_OF_FLAGS) != SYN_ALONE)
		return PASS;
	if (bpf_skb_load_bytes(skb, 0, &key.client_port, 2) ||
	    bpf_skb_load_bytes(skb, 2, &key.proxy_port, 2) || bpf_skb_load_bytes(skb, 4, &seq, 4) ||
	    bpf_skb_load_bytes(skb, 12, &offset, 1) ||
	    bpf_skb_load_bytes_relative(skb, 0, &version, 1, BPF_HDR_START_NET) ||
	    bpf_skb_load_bytes_relative(skb, 12, &key.client_ip4, 4, BPF_HDR_START_NET) ||
	    bpf_skb_load_bytes_relative(skb, 16, &key.proxy_ip4, 4, BPF_HDR_START_NET))
		return PASS;
	cookie = bpf_get_socket_cookie(skb); /* the listener's */
	netns = bpf_map_lookup_elem(&listeners, &cookie);
	if (!netns)
		return PASS;
	key.netns = *netns;
	o = bpf_map_lookup_elem(&origins, &key);
	if (!o) /* a client that speaks to the proxy */
		return PASS;
	key.seq = seq;
	if (bpf_map_lookup_elem(&admitted, &key))
		return PASS;
	if (o->held && o->seq == seq) /* sent again */
		return DROP;
	length = (version & 0xf) * 4 + (offset >> 4) * 4;
	if (length < 40 || length > SYN_MAX)
		return PASS;
	/* Without room it is let in at once: late is worse than early. */
	w = bpf_ringbuf_reserve(&waitings, sizeof(*w), 0);
	if (!w)
		return PASS;
	w->key = key;
	w->length = length;
	w->gone = false;
	if (bpf_skb_load_bytes_relative(skb, 0, w->packet, length, BPF_HDR_START_NET)) {
		bpf_ringbuf_discard(w, 0);
		return PASS;
	}
	o->seq = seq;
	o->held = true;
	bpf_ringbuf_submit(w, 0);
	return DROP;
}

/* forget is that a held connection will never be: its caller has closed it, or
 * its time has run out. */
static __always_inline void forget(struct flow_key *key, const struct origin *o)
{
	struct waiting *w;

	if (!o->held)
		return;
	key->seq = o->seq;
	bpf_map_delete_elem(&admitted, key);
	w = bpf_ringbuf_reserve(&waitings, sizeof(*w), 0);
	if (w) {
		w->key = *key;
		w->length = 0;
		w->gone = true;
		bpf_ringbuf_submit(w, 0);
	}
	key->seq = 0;
}

#endif
