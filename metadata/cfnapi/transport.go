package cfnapi

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// CAOverrideFile replaces the bundle of trusted certificates, as aws-cfn-bootstrap
// has it.
const CAOverrideFile = "/etc/cfn/ca-override.pem"

// The times that a server is given before a try counts as failed.
const (
	connectTimeout = 10 * time.Second
	headerTimeout  = 30 * time.Second
)

// metadataIP is the link-local address of the Nova metadata service. No proxy
// can reach the one of this guest.
const metadataIP = "169.254.169.254"

// TransportOptions say how to reach heat-api-cfn. The zero value trusts the
// system's certificates (Go reads SSL_CERT_FILE and SSL_CERT_DIR by itself)
// and takes proxies from the environment.
type TransportOptions struct {
	Root       string // where cfn-boto-cfg and ca-override.pem are looked for
	Insecure   bool   // do not check certificates; so too if cfn-boto-cfg says it
	CAOverride string // the variable CA_OVERRIDE: a PEM bundle instead of all others
	HTTPProxy  string // [scheme://][user:pass@]host:port for http; empty: environment
	HTTPSProxy string // the same for https
}

// NewTransport returns a transport that gives a connection 10 seconds and the
// first byte of an answer 30. Errors name a bad bundle or option, never the
// value of a proxy option, which may hold a password.
func NewTransport(o TransportOptions) (*http.Transport, error) {
	proxy, err := o.proxy()
	if err != nil {
		return nil, err
	}
	roots, err := o.roots()
	if err != nil {
		return nil, err
	}
	boto, _ := LoadBoto(o.Root) // without it, or where it is damaged, nothing is turned off
	return &http.Transport{
		Proxy:                 proxy,
		DialContext:           (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSHandshakeTimeout:   connectTimeout,
		ResponseHeaderTimeout: headerTimeout,
		IdleConnTimeout:       headerTimeout,
		TLSClientConfig: &tls.Config{
			RootCAs:            roots,
			InsecureSkipVerify: o.Insecure || boto.Insecure,
		},
	}, nil
}

// roots is nil for those of the system.
func (o TransportOptions) roots() (*x509.CertPool, error) {
	path, optional := o.CAOverride, false
	if path == "" {
		path, optional = filepath.Join(o.Root, CAOverrideFile), true
	}
	data, err := os.ReadFile(path)
	if optional && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read CA bundle: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("read CA bundle %s: it holds no PEM certificate", path)
	}
	return pool, nil
}

func (o TransportOptions) proxy() (func(*http.Request) (*url.URL, error), error) {
	given := map[string]*url.URL{}
	for scheme, value := range map[string]string{"http": o.HTTPProxy, "https": o.HTTPSProxy} {
		if strings.TrimSpace(value) == "" {
			continue
		}
		u, err := parseProxy(value)
		if err != nil {
			return nil, fmt.Errorf("option --%s-proxy: %w", scheme, err)
		}
		given[scheme] = u
	}
	return func(req *http.Request) (*url.URL, error) {
		if req.URL.Hostname() == metadataIP {
			return nil, nil
		}
		if u := given[req.URL.Scheme]; u != nil {
			return u, nil
		}
		return http.ProxyFromEnvironment(req)
	}, nil
}

func parseProxy(s string) (*url.URL, error) {
	s = strings.TrimSpace(s)
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("it must be [scheme://][user:pass@]host:port")
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return u, nil
	}
	return nil, fmt.Errorf("a proxy cannot be reached by %q", u.Scheme)
}
