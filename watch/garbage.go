package watch

import (
	"runtime/debug"
	"runtime/metrics"
)

const (
	leastRoom = 32 << 20 // of garbage: a small heap would be collected many times a second
	smallHeap = 4 << 20  // below it the runtime takes the share to be of this
)

// BoundMemory has the runtime keep garbage to a tenth of what lives, where by
// itself it would be as much again; while it is busy, as in a storm, to a half
// of it, for to collect more often would cost more than the storm. It is to be
// called now and then, as what lives changes.
func BoundMemory(busy bool) {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	live := max(smallHeap, s[0].Value.Uint64())
	room := live / 10
	if busy {
		room = live / 2
	}
	debug.SetGCPercent(int(max(leastRoom, room) * 100 / live))
}
