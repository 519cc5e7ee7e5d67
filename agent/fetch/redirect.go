package fetch

import (
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/pattern"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// A hop is one request of a download: where to, and what for.
type hop struct {
	url    *url.URL
	auth   *metadata.Authentication // nil: none may be sent
	region string
	clock  time.Duration // what the server's clock is ahead
}

var bodyRegion = pattern.Lazy{Expr: `<Region>([a-z0-9-]+)</Region>`}

// next says where an answer sends the client, if anywhere.
func next(t target, h hop, resp *http.Response) (hop, bool) {
	if n, ok := h.signedAgain(resp); ok {
		return n, true
	}
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return hop{}, false
	}
	u, err := h.url.Parse(resp.Header.Get("Location"))
	if err != nil || resp.Header.Get("Location") == "" || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return hop{}, false
	}
	n := hop{url: u, region: h.region, clock: h.clock}
	if t.auth != nil && mayKeep(t, u) {
		n.auth = t.auth
		if p, ok := findBucket(u, t.auth.Endpoint); ok && p.region != "" {
			n.region = p.region
		}
	}
	return n, true
}

// mayKeep says whether credentials may follow a redirect: to the same host
// and scheme, and within AWS to another host of the same bucket, as its
// service does between regions.
func mayKeep(t target, u *url.URL) bool {
	if sameHost(t.url, u) && t.url.Scheme == u.Scheme {
		return true
	}
	if t.auth.Type != metadata.AuthS3 || t.url.Scheme != u.Scheme {
		return false
	}
	from, _ := findBucket(t.url, "")
	to, _ := findBucket(u, "")
	return from.aws && to.aws && from.bucket == to.bucket
}

// signedAgain is the same request, signed for the region or with the clock
// that the answer says is right.
func (h hop) signedAgain(resp *http.Response) (hop, bool) {
	if h.auth == nil || h.auth.Type != metadata.AuthS3 || resp.StatusCode < 300 {
		return hop{}, false
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil && h.clock == 0 && resp.StatusCode == http.StatusForbidden {
		if skew := time.Until(date); skew.Abs() > maxSkew {
			h.clock = skew
			return h, true
		}
	}
	if resp.Header.Get("Location") != "" {
		return hop{}, false
	}
	region := resp.Header.Get("X-Amz-Bucket-Region")
	if region == "" && resp.StatusCode == http.StatusBadRequest {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, errorBody))
		if m := bodyRegion.Regexp().FindSubmatch(body); m != nil {
			region = string(m[1])
		}
	}
	p, _ := findBucket(h.url, "")
	if region == "" || region == h.region || p.aws && !awsRegion.Regexp().MatchString(region) {
		return hop{}, false
	}
	h.region = region
	if p.aws && resp.StatusCode == http.StatusMovedPermanently {
		h.url = inRegion(h.url, p, region)
	}
	return h, true
}
