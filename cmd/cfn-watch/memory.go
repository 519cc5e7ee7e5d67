package main

import (
	"context"
	"runtime/debug"
	gometrics "runtime/metrics"
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
	var share float64 // of a core that collecting took, over the last minute or so
	for before := collecting(); ; {
		now := collecting()
		share += (now - before - share) / 60
		before = now
		watch.BoundMemory(share > mostCollecting)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// mostCollecting is the share of a core that is spent on little memory; when it would
// take more, there is more garbage.
const mostCollecting = 0.05

// collecting is the CPU time that collecting garbage has taken, in seconds.
func collecting() float64 {
	s := []gometrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}}
	gometrics.Read(s)
	return s[0].Value.Float64()
}
