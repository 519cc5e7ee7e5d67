package main

import (
	"context"
	"runtime/debug"
	gometrics "runtime/metrics"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// boundMemory bounds what is garbage, unless GOGC says how
// (https://pkg.go.dev/runtime#hdr-Environment_Variables).
func (s *server) boundMemory(ctx context.Context) {
	if s.getenv("GOGC") != "" {
		return
	}
	debug.FreeOSMemory() // what it took to load the fleet
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	var share float64 // of a core that collecting took, over the last minute or so
	busy := false
	for before := collecting(); ; {
		now := collecting()
		share += (now - before - share) / 60
		before = now
		busy = share > mostCollecting || busy && share > littleCollecting
		watch.BoundMemory(busy)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Shares of a core: when collecting takes more than the first, there is more
// garbage, which makes it a fifth or so, until it is less than the second.
const (
	mostCollecting   = 0.01
	littleCollecting = 0.001
)

// collecting is the CPU time that collecting garbage has taken, in seconds.
func collecting() float64 {
	s := []gometrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}}
	gometrics.Read(s)
	return s[0].Value.Float64()
}
