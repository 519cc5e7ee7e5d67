package auth

import (
	"sync"
	"time"
)

// A signature is taken for MaxSkew before and after its time, so it is of use
// for twice that to somebody who copied it.
const (
	replayFor         = 2 * MaxSkew
	replayGenerations = 4
	replayLimit       = 4_000_000
)

// A replay remembers signatures by 64 bits of each: for replayFor, or until
// there are too many, the oldest forgotten first. What an HMAC gives is random
// to who lacks the key, so its own bits are the hash. It keeps generations,
// because forgetting a whole one costs nothing.
type replay struct {
	limit int // of all generations

	mu          sync.Mutex
	generations [replayGenerations]map[uint64]struct{} // newest first
	since       time.Time                              // the newest began
}

// claim remembers a hash and says whether it was known.
func (p *replay) claim(hash uint64, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	age := now.Sub(p.since)
	if p.generations[0] == nil || age < 0 || age >= replayFor/(replayGenerations-1) || len(p.generations[0]) >= p.limit/replayGenerations {
		copy(p.generations[1:], p.generations[:])
		p.generations[0], p.since = map[uint64]struct{}{}, now
	}
	for _, g := range p.generations {
		if _, known := g[hash]; known {
			return true
		}
	}
	p.generations[0][hash] = struct{}{}
	return false
}

// forget takes a hash back.
func (p *replay) forget(hash uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range p.generations {
		delete(g, hash)
	}
}
