package outbox

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// errPrivate is the error for an address that an alarm of a tenant may not
// reach: the server would be a way into the operator's network.
var errPrivate = errors.New("the address is private, and the alarm is not of the operator's rules (allow_private permits it)")

// Access is where messages may go.
type Access struct {
	Private   bool            // alarms of tenants may reach private addresses
	Hosts     []string        // host:port that they may always reach: the catalog's cloudformation endpoint
	Transport *http.Transport // is cloned; nil: http.DefaultTransport
}

// private is what is not public by netip's own words: shared and benchmark
// networks, this host, and IPv6 that holds an IPv4 address.
var private = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("fec0::/10"),
	netip.MustParsePrefix("::/96"),
}

func isPrivate(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	return !ip.IsGlobalUnicast() || ip.IsPrivate() ||
		slices.ContainsFunc(private, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// publicOnly refuses to connect to a private address. It sees the address that
// is dialled, after the name was resolved: a name that is public at one look
// and private at the next gains nothing.
func publicOnly(_ context.Context, _, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || isPrivate(at.Addr()) {
		return errPrivate
	}
	return nil
}

// clients are the two ways out: one for the operator's alarms, and one that
// reaches public addresses alone.
type clients struct {
	once         sync.Once
	free, public *http.Client
}

func (c *clients) of(a Access, o watch.Origin) *http.Client {
	c.once.Do(func() {
		c.free = client(a.transport())
		c.public = client(a.public())
	})
	if trusted(o) || a.Private {
		return c.free
	}
	return c.public
}

// dial connects to what is public, or always allowed.
func (a Access) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout, ControlContext: publicOnly}
	if slices.Contains(a.Hosts, address) {
		d.ControlContext = nil
	}
	return d.DialContext(ctx, network, address)
}

const dialTimeout = 10 * time.Second

func (a Access) transport() *http.Transport {
	t := a.Transport
	if t == nil {
		t = http.DefaultTransport.(*http.Transport)
	}
	t = t.Clone()
	t.MaxIdleConnsPerHost = messagesOfEndpoint
	t.TLSHandshakeTimeout = dialTimeout
	t.MaxResponseHeaderBytes = 64 << 10
	return t
}

func (a Access) public() *http.Transport {
	t := a.transport()
	t.DialContext = a.dial
	t.Proxy = nil // a proxy would dial for us, and look at nothing
	return t
}

// client follows a redirect only where the message stays one: to the same
// host, with its method and body, and as secret as it was.
func client(t http.RoundTripper) *http.Client {
	return &http.Client{Transport: t, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		first := via[0]
		bared := first.URL.Scheme == "https" && req.URL.Scheme != "https"
		if len(via) >= 5 || bared || req.URL.Host != first.URL.Host || req.Method != first.Method {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}
