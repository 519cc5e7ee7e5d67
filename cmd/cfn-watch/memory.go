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
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		watch.BoundMemory()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
