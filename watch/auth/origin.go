package auth

import (
	"net/netip"
	"sync"

	"golang.org/x/time/rate"
)

// Origin is where a connection comes from: an address, or the network of 64
// bits that one host has of IPv6. What is none is one origin, like any other.
func Origin(a netip.AddrPort) netip.Prefix {
	ip := a.Addr().Unmap()
	p, _ := ip.Prefix(min(64, ip.BitLen()))
	return p
}

// Requests with keys that Keystone has not confirmed, of one origin: so many a
// second, and as many guests of one as may come at once after a start.
const (
	strangersPerSecond = 10
	strangersAtOnce    = 600
	mostOrigins        = 10_000
)

// origins bound what comes from each.
type origins struct {
	mu sync.Mutex
	of map[netip.Prefix]*rate.Limiter
}

// take says whether one more may come from a remote address.
func (o *origins) take(remote string) bool {
	at, _ := netip.ParseAddrPort(remote)
	from := Origin(at)
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.of[from]
	if l == nil {
		if len(o.of) >= mostOrigins || o.of == nil {
			o.of = map[netip.Prefix]*rate.Limiter{}
		}
		l = rate.NewLimiter(strangersPerSecond, strangersAtOnce)
		o.of[from] = l
	}
	return l.Allow()
}
