package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cfn-agent/cfn-agent/watch/auth"
)

// mostConnections is how many connections guests may have open: a quarter of
// the files that the process may open stays for the store, the operator, the
// scraper and what is called. The runtime has raised the soft limit to the hard
// one at the start.
func mostConnections() (int, error) {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return 0, fmt.Errorf("read how many files may be open: %w", err)
	}
	return int(min(files.Cur, 1<<30) / 4 * 3), nil
}

// A bounded listener never has more than so many connections open. Who comes
// when there are that many gets the place of one of the address that has most,
// so that no address shuts out another: of one that is idle first.
type bounded struct {
	net.Listener
	most int
	deaf func(now time.Time, cause string) // is told while none can be taken

	failing time.Time // since when; zero: they can. Of who accepts alone

	mu   sync.Mutex
	open map[*counted]struct{}
	of   map[netip.Prefix]int
}

// A counted connection is one of a bounded listener.
type counted struct {
	net.Conn
	of     *bounded
	from   netip.Prefix
	active atomic.Bool // a request is under way
	closed sync.Once
}

func newBounded(l net.Listener, most int, deaf func(time.Time, string)) *bounded {
	return &bounded{Listener: l, most: most, deaf: deaf, open: map[*counted]struct{}{}, of: map[netip.Prefix]int{}}
}

// Accept waits for a connection that has a place.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		conn, err := b.Listener.Accept()
		b.heard(err)
		if err != nil {
			return nil, err
		}
		c := &counted{Conn: conn, of: b, from: origin(conn.RemoteAddr())}
		if b.admit(c) {
			return c, nil
		}
		conn.Close()
	}
}

// deafAfter is how long connections must be refused, as where no more files may
// be open, until the server counts as deaf, and then again and again.
const deafAfter = 5 * time.Second

// heard notes whether a connection could be taken. Who accepts tries each second
// at least while none can.
func (b *bounded) heard(err error) {
	now := time.Now()
	switch {
	case err == nil || errors.Is(err, net.ErrClosed):
		b.failing = time.Time{}
	case b.failing.IsZero():
		b.failing = now
	case now.Sub(b.failing) >= deafAfter:
		b.failing = now
		b.deaf(now, "connections cannot be taken: "+err.Error())
	}
}

func origin(a net.Addr) netip.Prefix {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return auth.Origin(tcp.AddrPort())
	}
	return netip.Prefix{}
}

func (b *bounded) admit(c *counted) bool {
	b.mu.Lock()
	full := len(b.open) >= b.most
	var other *counted
	if full {
		other = b.toYield(c.from)
	}
	if full && other == nil {
		b.mu.Unlock()
		return false
	}
	b.open[c] = struct{}{}
	b.of[c.from]++
	b.mu.Unlock()
	if other != nil {
		other.Close()
	}
	return true
}

// looked is how many connections are looked at for one that yields: they come
// by chance, and whoever has many of all is among them.
const looked = 64

// toYield is the connection whose place one from an address gets; nil: none.
func (b *bounded) toYield(from netip.Prefix) *counted {
	var found *counted
	n, foundActive := 0, false
	for c := range b.open {
		active := c.active.Load()
		if found == nil || b.of[c.from] > b.of[found.from] || b.of[c.from] == b.of[found.from] && foundActive && !active {
			found, foundActive = c, active
		}
		if n++; n == looked {
			break
		}
	}
	if found == nil {
		return nil
	}
	has, would := b.of[found.from], b.of[from]+1
	if found.from == from || has == would {
		would = has
		if foundActive {
			return nil
		}
	}
	if has < would {
		return nil
	}
	return found
}

// Close gives the place back.
func (c *counted) Close() error {
	c.closed.Do(func() {
		b := c.of
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.open, c)
		if b.of[c.from]--; b.of[c.from] == 0 {
			delete(b.of, c.from)
		}
	})
	return c.Conn.Close()
}

// CloseWrite is for net/http, which ends an answer that it does not read the
// whole request of with it.
func (c *counted) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// noteState is http.Server's ConnState, for counted connections.
func noteState(c net.Conn, s http.ConnState) {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	if c, ok := c.(*counted); ok {
		c.active.Store(s == http.StateActive)
	}
}
