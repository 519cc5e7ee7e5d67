package cfnapi

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Where Heat's user data puts what a guest needs to find it.
const (
	serverFile = "/var/lib/heat-cfntools/cfn-metadata-server"
	botoFile   = "/var/lib/heat-cfntools/cfn-boto-cfg"
)

// defaultPort is heat-api-cfn's own, for an address that is only a host.
const defaultPort = "8000"

// ErrNoEndpoint says that neither the option nor a file has the address.
var ErrNoEndpoint = errors.New("no address of heat-api-cfn")

// Endpoint finds the URL of heat-api-cfn: flagURL if it is not blank; else
// what the file cfn-metadata-server below root holds; else the host of
// cfn-boto-cfg, with port 8000 and https where is_secure is set. Scheme, host,
// port and path are kept; /v1 is appended to a path that has no such segment,
// since Heat 5 and older leave it out, and a slash, since Heat knows no /v1
// without it. An address without a scheme takes that of cfn-boto-cfg. The
// error names all three sources.
func Endpoint(root, flagURL string) (*url.URL, error) {
	boto, botoErr := LoadBoto(root)
	scheme := "http"
	if boto.Secure {
		scheme = "https"
	}
	if strings.TrimSpace(flagURL) != "" {
		u, err := ParseEndpoint(flagURL, scheme, defaultPort)
		if err != nil {
			return nil, fmt.Errorf("option --url: %w", err)
		}
		return u, nil
	}
	u, serverErr := readServer(root, scheme)
	if serverErr == nil {
		return u, nil
	}
	if botoErr == nil && boto.Host == "" {
		botoErr = errors.New("it has no cfn_region_endpoint")
	}
	if botoErr == nil {
		if u, botoErr = ParseEndpoint(boto.Host, scheme, defaultPort); botoErr == nil {
			return u, nil
		}
	}
	return nil, fmt.Errorf("%w: give --url; %s: %w; %s: %w", ErrNoEndpoint, serverFile, serverErr, botoFile, botoErr)
}

func readServer(root, scheme string) (*url.URL, error) {
	data, err := os.ReadFile(filepath.Join(root, serverFile))
	if err != nil {
		return nil, reason(err)
	}
	return ParseEndpoint(string(data), scheme, defaultPort)
}

// reason is a file error without the path, which the caller names.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// ParseEndpoint reads the URL of an API of Heat, or a bare host, which gets
// the scheme and the port given. A path without a segment v1 gets one, and a
// slash at its end. Its errors quote nothing: a URL may hold a password.
func ParseEndpoint(s, scheme, port string) (*url.URL, error) {
	s = strings.TrimSpace(s)
	bare := !strings.Contains(s, "://")
	if bare {
		if addr, err := netip.ParseAddr(s); err == nil && addr.Is6() {
			s = "[" + s + "]"
		}
		s = scheme + "://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || strings.Contains(u.Hostname(), ":") && !strings.HasPrefix(u.Host, "[") {
		return nil, errors.New("it is not a URL")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("its scheme %q is neither http nor https", u.Scheme)
	}
	if bare && u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	if !slices.Contains(strings.Split(path, "/"), "v1") {
		path += "/v1"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host}).Parse("/" + strings.TrimLeft(path, "/") + "/")
}
