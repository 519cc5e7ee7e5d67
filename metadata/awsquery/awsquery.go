// Package awsquery speaks the AWS Query protocol as the CloudFormation and
// CloudWatch endpoints of OpenStack serve it: parameters encoded and sorted,
// requests signed (signature versions 2 and 4), error documents read, one
// request sent and its whole answer taken, with redirects, silence and size
// kept in bounds. It knows no action of either API and repeats nothing; it
// only tells whether repeating makes sense.
//
// The signatures follow the AWS General Reference ("Signature Version 4
// signing process", and version 2 before it) as Keystone's ec2tokens verifies
// them.
package awsquery

import (
	"net/url"
	"slices"
	"strings"
)

// Encode writes parameters as a query or form: sorted by the bytes of their
// names, then of their values, each name and value escaped as Escape does.
func Encode(params url.Values) string {
	pairs := make([]string, 0, len(params))
	for _, name := range sortedNames(params) {
		values := slices.Clone(params[name])
		slices.Sort(values)
		for _, v := range values {
			pairs = append(pairs, Escape(name)+"="+Escape(v))
		}
	}
	return strings.Join(pairs, "&")
}

// Escape percent-encodes all but the unreserved characters of RFC 3986: a
// space becomes %20, a slash %2F, a tilde stays.
func Escape(s string) string { return escape(s, "") }

func sortedNames(params url.Values) []string {
	names := make([]string, 0, len(params))
	for name := range params {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// escape percent-encodes all but letters, digits, -_.~ and the bytes of safe.
func escape(s, safe string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			strings.IndexByte("-_.~", c) >= 0, strings.IndexByte(safe, c) >= 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}
