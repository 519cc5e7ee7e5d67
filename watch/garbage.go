package watch

import (
	"runtime/debug"
	"runtime/metrics"
)

// smallHeap is a process's memory of which it does not matter how much is garbage.
const smallHeap = 256 << 20

// BoundMemory has the runtime keep garbage, and room between what lives, to three
// eighths of what lives, where by itself it would be as much again. It is to be
// called now and then, as what lives changes.
func BoundMemory() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	debug.SetMemoryLimit(max(smallHeap, int64(live[0].Value.Uint64())*11/8+smallHeap/8))
}
