package fetch

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path"
	"strings"
	"syscall"

	"github.com/cfn-agent/cfn-agent/agent/pattern"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

const nonblock = syscall.O_NONBLOCK

// A target is a Request understood: a path of the system, or a URL and the
// credentials for it.
type target struct {
	path   string
	url    *url.URL
	auth   *metadata.Authentication
	sha256 string
	shown  string
	log    *slog.Logger
}

func (c *Client) target(s *sys.System, r Request) (target, error) {
	raw, fragment, _ := strings.Cut(strings.TrimSpace(r.URL), "#sha256=")
	t := target{shown: Shown(raw), log: s.Log}
	fail := func(err error) (target, error) { return target{}, fmt.Errorf("get %s: %w", t.shown, err) }
	var err error
	if t.sha256, err = digest(r.SHA256, fragment); err != nil {
		return fail(err)
	}
	if path.IsAbs(raw) {
		t.path = s.Path(raw)
		return t, nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		// Not err, which quotes the URL with its secrets.
		return fail(errors.New("not a URL"))
	}
	u.Fragment, u.RawFragment = "", ""
	switch u.Scheme {
	case "file":
		if u.Host != "" && u.Host != "localhost" || !path.IsAbs(u.Path) {
			return fail(errors.New("a file: URL needs an absolute path and no host, such as file:///srv/a.tar"))
		}
		t.path = s.Path(u.Path)
		return t, nil
	case "http", "https", "s3":
		if u.Host == "" {
			return fail(errors.New("the URL has no host"))
		}
	case "":
		return fail(errors.New("neither a URL nor an absolute path"))
	default:
		return fail(fmt.Errorf("scheme %s is not supported: use http, https, s3 or file", u.Scheme))
	}
	if t.auth, err = c.auth(u, r.Authentication); err != nil {
		return fail(err)
	}
	t.url = u
	if u.Scheme == "s3" {
		t.url, err = c.s3URL(u, t.auth)
	}
	if err != nil {
		return fail(err)
	}
	return t, nil
}

// secretQuery finds the names of query values that give access, such as
// X-Amz-Signature, temp_url_sig, sig, access_token.
var secretQuery = pattern.Lazy{Expr: `(?i)sig|token|secret|pass|key|credential|auth|code`}

// Shown is the form of a URL that may be shown: no user, no password, no
// fragment, and signatures, tokens and the like cut out of its query.
func Shown(raw string) string {
	raw, _, _ = strings.Cut(raw, "#")
	base, query, has := strings.Cut(raw, "?")
	if scheme, rest, ok := strings.Cut(base, "//"); ok && (scheme == "" || strings.HasSuffix(scheme, ":")) {
		host, tail := rest, ""
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			host, tail = rest[:i], rest[i:]
		}
		base = scheme + "//" + host[strings.LastIndexByte(host, '@')+1:] + tail
	}
	if !has {
		return base
	}
	fields := strings.FieldsFunc(query, func(r rune) bool { return r == '&' || r == ';' })
	for i, f := range fields {
		name, _, valued := strings.Cut(f, "=")
		if plainName, err := url.QueryUnescape(name); err == nil {
			name = plainName
		}
		if !valued || secretQuery.Regexp().MatchString(name) {
			// A query without names may be a token whole.
			fields[i] = name + "=[cut]"
			if !valued {
				fields[i] = "[cut]"
			}
		}
	}
	return base + "?" + strings.Join(fields, "&")
}

// BaseName is the last element of the path of a URL or of a plain path,
// without its query; empty when there is none. It never holds a slash and is
// never "." or "..".
func BaseName(raw string) string {
	raw, _, _ = strings.Cut(strings.TrimSpace(raw), "#sha256=")
	p := raw
	if !path.IsAbs(raw) {
		u, err := url.Parse(raw)
		if err != nil {
			return ""
		}
		p = u.Path
	}
	p = strings.TrimRight(p, "/")
	base := p[strings.LastIndexByte(p, '/')+1:]
	if base == "." || base == ".." || strings.ContainsRune(base, 0) {
		return ""
	}
	return base
}
