package fetch

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/cfn-agent/cfn-agent/metadata"
)

// UnknownAuthenticationError says that a name is not among the entries of
// AWS::CloudFormation::Authentication.
type UnknownAuthenticationError struct{ Name string }

// Error names the entry, and where it is missing.
func (e *UnknownAuthenticationError) Error() string {
	return fmt.Sprintf("authentication %q is not an entry of %s: add it there, or correct the name", e.Name, metadata.AuthenticationKey)
}

// auth picks the credentials for a URL: those of a name, else those whose
// bucket the URL is of, else those whose host or beginning of a URL it has.
func (c *Client) auth(u *url.URL, name string) (*metadata.Authentication, error) {
	if name != "" {
		i := slices.IndexFunc(c.Auth, func(a metadata.Authentication) bool { return a.Name == name })
		if i < 0 {
			return nil, &UnknownAuthenticationError{name}
		}
		return &c.Auth[i], nil
	}
	for i := range c.Auth {
		if a := &c.Auth[i]; a.Type == metadata.AuthS3 && coversBucket(a, u) {
			return a, nil
		}
	}
	for i := range c.Auth {
		if a := &c.Auth[i]; slices.ContainsFunc(a.URIs, func(uri string) bool { return coversURI(uri, u) }) {
			return a, nil
		}
	}
	return nil, nil
}

func coversBucket(a *metadata.Authentication, u *url.URL) bool {
	bucket := ""
	if u.Scheme == "s3" {
		bucket = u.Host
	} else if place, ok := findBucket(u, a.Endpoint); ok {
		bucket = place.bucket
	}
	return bucket != "" && slices.Contains(a.Buckets, bucket)
}

// coversURI says whether uri, a bare host with or without port or the
// beginning of a URL, covers u. The beginning ends at a path element: that of
// /a does not cover /ab.
func coversURI(uri string, u *url.URL) bool {
	if !strings.Contains(uri, "://") {
		host, rest, path := strings.Cut(uri, "/")
		if !path || rest == "" {
			return strings.EqualFold(host, u.Host) || strings.EqualFold(host, u.Hostname()) || strings.EqualFold(host, hostPort(u))
		}
		uri = u.Scheme + "://" + uri
	}
	p, err := url.Parse(uri)
	if err != nil || !strings.EqualFold(p.Scheme, u.Scheme) || !sameHost(p, u) {
		return false
	}
	prefix, path := strings.TrimSuffix(p.EscapedPath(), "/"), u.EscapedPath()
	// A server takes /a/../b for /b, which the prefix /a does not cover.
	if slices.Contains(strings.Split(u.Path, "/"), "..") {
		return prefix == ""
	}
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

func sameHost(a, b *url.URL) bool { return strings.EqualFold(hostPort(a), hostPort(b)) }

// hostPort is a URL's host with the port that its scheme implies.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
