package main

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// boundMemory bounds what is garbage, unless GOGC or GOMEMLIMIT says how
// (https://pkg.go.dev/runtime#hdr-Environment_Variables).
func (s *server) boundMemory(ctx context.Context) {
	if s.getenv("GOGC") != "" || s.getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.FreeOSMemory() // what it took to load the fleet
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	var busy time.Time // when garbage was last collected more than once a second
	for before := collections(); ; {
		n := collections()
		if n > before+1 {
			busy = time.Now()
		}
		before = n
		watch.BoundMemory(time.Since(busy) < time.Minute)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// collections is how often garbage was collected.
func collections() int64 {
	var stats debug.GCStats
	debug.ReadGCStats(&stats)
	return stats.NumGC
}
