package bpf

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"
)

// counter is a variable of the programs that this process alone writes.
type counter struct {
	memory *ebpf.Memory
	at     uint32
	value  uint64
}

// share finds it in the memory of a map.
func (c *counter) share(m *ebpf.Map, at uint32) (err error) {
	c.at = at
	c.memory, err = m.Memory()
	return err
}

func (c *counter) add() error {
	c.value++
	_, err := c.memory.WriteAt(binary.NativeEndian.AppendUint64(nil, c.value), int64(c.at))
	return err
}

// verdictWords names the kernel's verdicts; the array makes a new one without
// a word fail to compile.
var verdictWords = [interceptVerdictVERDICT_MAX]Verdict{
	interceptVerdictVERDICT_INTERCEPTED:  Intercepted,
	interceptVerdictVERDICT_AGENT:        Agent,
	interceptVerdictVERDICT_NOT_MATCHED:  NotMatched,
	interceptVerdictVERDICT_EXCLUDED:     Excluded,
	interceptVerdictVERDICT_NOT_TARGETED: NotTargeted,
	interceptVerdictVERDICT_UDP:          UDP,
	interceptVerdictVERDICT_LOOPBACK:     Loopback,
	interceptVerdictVERDICT_DNS:          DNS,
	interceptVerdictVERDICT_LINK_LOCAL:   LinkLocal,
	interceptVerdictVERDICT_DEVICE_BOUND: DeviceBound,
	interceptVerdictVERDICT_SOURCE_BOUND: SourceBound,
	interceptVerdictVERDICT_IPV6ONLY:     IPv6Only,
	interceptVerdictVERDICT_IPV6UNKNOWN:  IPv6Unknown,
	interceptVerdictVERDICT_OTHER_NETNS:  OtherNetns,
	interceptVerdictVERDICT_LIMIT:        Limit,
	interceptVerdictVERDICT_MAP_FULL:     MapFull,
	interceptVerdictVERDICT_ORIGIN_LOST:  OriginLost,
	interceptVerdictVERDICT_QUIC:         QUIC,
	interceptVerdictVERDICT_QUIC_BLOCKED: QUICBlocked,
}

// Counts says how many connect(2) calls had each verdict since [Attach];
// verdicts that nobody had are absent.
func (i *Interception) Counts() (map[Verdict]uint64, error) {
	counts := make(map[Verdict]uint64)
	for v, word := range verdictWords {
		var perCPU []uint64
		if err := i.objs.Verdicts.Lookup(uint32(v), &perCPU); err != nil {
			return nil, fmt.Errorf("read counter %s: %w", word, err)
		}
		for _, n := range perCPU {
			if n > 0 {
				counts[word] += n
			}
		}
	}
	return counts, nil
}
