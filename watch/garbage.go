package watch

import (
	"runtime/debug"
	"runtime/metrics"
)

// smallHeap is a process's memory of which it does not matter how much is garbage.
const smallHeap = 256 << 20

// BoundMemory has the runtime keep garbage, and room between what lives, to a tenth
// of what lives, where by itself it would be as much again; while it is
// busy, as in a storm, to seven tenths, for to collect more often would cost
// more than the storm. It is to be called now and then, as what lives changes.
func BoundMemory(busy bool) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	percent := int64(110)
	if busy {
		percent = 170
	}
	debug.SetMemoryLimit(max(smallHeap, int64(live[0].Value.Uint64())/100*percent))
}
