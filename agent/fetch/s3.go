package fetch

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/cfn-agent/cfn-agent/agent/pattern"
	"github.com/cfn-agent/cfn-agent/metadata"
)

const defaultRegion = "us-east-1"

// emptyHash is the SHA-256 of the empty body of a GET.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

var (
	// Hosts of Amazon S3, as in its User Guide, "Methods for accessing a
	// general purpose bucket": bucket and region are optional, and old ones
	// have a dash where newer ones have a dot.
	awsHost   = pattern.Lazy{Expr: `^(?:(.+)\.)?s3(?:[.-]dualstack)?(?:[.-]([a-z]{2}(?:-[a-z]+)+-\d+))?\.amazonaws\.com(?:\.cn)?$`}
	awsRegion = pattern.Lazy{Expr: `^[a-z]{2}(-[a-z]+)+-\d+$`}
)

// A place is where a URL's object is in S3.
type place struct {
	bucket, region string
	aws            bool // Amazon's own service, not another endpoint
}

// findBucket reads the bucket and the region out of a URL, either of AWS or of
// an endpoint; the bucket is in the host's name or the first of the path.
func findBucket(u *url.URL, endpoint string) (place, bool) {
	first, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if m := awsHost.Regexp().FindStringSubmatch(strings.ToLower(u.Hostname())); m != nil {
		p := place{bucket: m[1], region: m[2], aws: true}
		if p.bucket == "" {
			p.bucket = first
		}
		return p, true
	}
	e, err := endpointURL(endpoint)
	if err != nil {
		return place{}, false
	}
	if sameHost(e, u) || !strings.Contains(endpoint, "://") && strings.EqualFold(e.Host, u.Host) {
		rest := strings.TrimPrefix(u.Path, strings.TrimSuffix(e.Path, "/"))
		first, _, _ = strings.Cut(strings.TrimPrefix(rest, "/"), "/")
		return place{bucket: first}, true
	}
	if bucket, ok := strings.CutSuffix(strings.ToLower(u.Host), "."+strings.ToLower(e.Host)); ok {
		return place{bucket: bucket}, true
	}
	return place{}, false
}

func endpointURL(endpoint string) (*url.URL, error) {
	if endpoint == "" {
		return nil, errors.New("no endpoint")
	}
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the endpoint of its authentication is neither a host nor an http or https URL")
	}
	return u, nil
}

// s3URL is the URL that s3://bucket/key is fetched from.
func (c *Client) s3URL(u *url.URL, a *metadata.Authentication) (*url.URL, error) {
	key := u.EscapedPath()
	if key == "" || key == "/" {
		return nil, errors.New("an s3 URL needs a bucket and a key: s3://bucket/key")
	}
	// The query may name a version of the object.
	out := url.URL{Scheme: "https", Host: u.Host + ".s3." + c.region() + ".amazonaws.com", RawQuery: u.RawQuery}
	switch {
	case a != nil && a.Endpoint != "":
		e, err := endpointURL(a.Endpoint)
		if err != nil {
			return nil, err
		}
		out.Scheme, out.Host = e.Scheme, e.Host
		key = strings.TrimSuffix(e.EscapedPath(), "/") + "/" + u.Host + key
	case strings.Contains(u.Host, "."):
		// The certificate of AWS does not cover a bucket with a dot.
		out.Host = "s3." + c.region() + ".amazonaws.com"
		key = "/" + u.Host + key
	}
	var err error
	if out.Path, err = url.PathUnescape(key); err != nil {
		return nil, errors.New("not a URL")
	}
	out.RawPath = key
	return &out, nil
}

// region is the one to use at AWS when the host names none. That of OpenStack
// is none of AWS's.
func (c *Client) region() string {
	if awsRegion.Regexp().MatchString(c.Region) {
		return c.Region
	}
	return defaultRegion
}

// sign signs a request for S3 with Signature Version 4.
func sign(ctx context.Context, req *http.Request, a *metadata.Authentication, region string, now time.Time) error {
	req.Header.Set("X-Amz-Content-Sha256", emptyHash)
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	key := aws.Credentials{AccessKeyID: a.AccessKeyID, SecretAccessKey: string(a.SecretKey)}
	return signer.SignHTTP(ctx, key, req, emptyHash, "s3", region, now)
}

// inRegion is a URL of AWS, at the host that its bucket has in a region.
func inRegion(u *url.URL, p place, region string) *url.URL {
	out := *u
	out.Host = "s3." + region + ".amazonaws.com"
	if strings.HasSuffix(u.Hostname(), ".cn") {
		out.Host += ".cn"
	}
	if m := awsHost.Regexp().FindStringSubmatch(strings.ToLower(u.Hostname())); m != nil && m[1] != "" {
		out.Host = p.bucket + "." + out.Host
	}
	return &out
}
