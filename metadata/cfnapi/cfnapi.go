// Package cfnapi gets the metadata of a resource from Heat's CloudFormation
// API (heat-api-cfn) by its action DescribeStackResource, and finds what that
// takes in the guest: the endpoint, the credentials, the way there. It reads
// both dialects of the answer, Heat's and that of AWS. It keeps no cache and
// changes nothing.
package cfnapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/retry"
	"github.com/cfn-agent/cfn-agent/metadata"
	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
)

// A Client asks for one resource. HTTP, Endpoint, Credentials, Stack and
// Resource must be set; NewTransport, Endpoint and FindCredentials give the
// first three. It is a metadata.Fetcher.
type Client struct {
	HTTP        *http.Client
	Endpoint    *url.URL // ends in /v1/
	Region      string   // of the signature; empty: awsquery.DefaultRegion
	Credentials awsquery.Credentials
	Stack       string        // name or ARN
	Resource    string        // logical id
	Retry       retry.Policy  // zero: one try
	Idle        time.Duration // longest silence inside an answer; 0: 60 s
	Log         *slog.Logger  // nil: none
}

// A Detail is what Heat tells of a resource.
type Detail struct {
	StackID            string // arn:openstack:heat::<project>:stacks/<name>/<id>
	ResourceType       string
	PhysicalResourceID string    // empty before there is one
	Status             string    // as CREATE_COMPLETE
	LastUpdated        time.Time // zero when it could not be read
	Metadata           []byte    // JSON; "{}" where the resource has none; nil: the answer does not tell
}

// maxSkew is how far clocks may be apart before a refusal is blamed on it.
// Keystone refuses signatures older than 15 minutes.
const maxSkew = 5 * time.Minute

// Fetch returns the metadata of the resource; see Describe for the errors.
func (c *Client) Fetch(ctx context.Context) (metadata.Document, error) {
	d, err := c.Describe(ctx)
	if err != nil {
		return metadata.Document{}, err
	}
	if d.Metadata == nil {
		// Heat sends an empty element where a resource has none. What is lost
		// on the way must not replace metadata that is kept.
		return metadata.Document{}, fmt.Errorf("metadata of resource %s of stack %s: %w: it has no Metadata, not even an empty one",
			c.Resource, c.Stack, awsquery.ErrBadAnswer)
	}
	doc, err := metadata.Parse(d.Metadata)
	if err != nil {
		return metadata.Document{}, fmt.Errorf("metadata of resource %s of stack %s: %w", c.Resource, c.Stack, err)
	}
	return doc, nil
}

// Describe asks for the resource, again as Retry and awsquery.Patience allow.
// The request is signed with version 4, and with version 2 where the server
// does not understand that; with the server's time when it refuses and the
// clocks are more than 5 minutes apart. An error names stack, resource and
// endpoint; a refusal is an *awsquery.Error inside it.
func (c *Client) Describe(ctx context.Context) (Detail, error) {
	if c.Stack == "" || c.Resource == "" {
		return Detail{}, errors.New("a stack and a resource are needed to ask for metadata")
	}
	if c.Credentials == (awsquery.Credentials{}) {
		return Detail{}, ErrNoCredentials
	}
	var d Detail
	call := call{Client: c}
	call.patience.Start(time.Now())
	err := c.Retry.Do(ctx, func(ctx context.Context) (err error) {
		d, err = call.try(ctx)
		return err
	})
	if err != nil {
		return Detail{}, fmt.Errorf("describe resource %s of stack %s at %s: %w", c.Resource, c.Stack, awsquery.RedactURL(c.Endpoint), err)
	}
	return d, nil
}

// A call is what is learned over the tries of one Describe.
type call struct {
	*Client
	patience awsquery.Patience
	ahead    time.Duration // of the server's clock
	skewed   bool          // ahead is in use
	old      bool          // the server wants version 2
}

// try asks once, and at once again when it has learned how to sign.
func (c *call) try(ctx context.Context) (Detail, error) {
	x := awsquery.Exchange{HTTP: c.HTTP, Idle: c.Idle}
	for {
		var d Detail
		a, err := x.Do(ctx, c.Endpoint, c.build)
		if err == nil {
			d, err = parseDetail(a.Body)
		}
		c.log().Debug("resource asked for", "stack", c.Stack, "resource", c.Resource, "host", c.Endpoint.Host,
			"status", a.Status, "bytes", len(a.Body), "err", err)
		if err == nil {
			return d, nil
		}
		e, refused := errors.AsType[*awsquery.Error](err)
		if refused && (c.learnTime(e, a.Header) || c.learnVersion(e)) {
			continue
		}
		if !c.patience.Worth(err, time.Now()) {
			return Detail{}, err
		}
		if refused {
			return Detail{}, retry.After(err, e.RetryAfter)
		}
		return Detail{}, retry.Temporary(err)
	}
}

// build makes the signed request. It never asks for JSON: with
// ContentType=JSON Heat answers its own errors with 200 and a bare string.
func (c *call) build(ctx context.Context, u *url.URL) (*http.Request, error) {
	to := *u
	to.User, to.Fragment = nil, ""
	to.RawQuery = awsquery.Encode(url.Values{
		"Action":            {"DescribeStackResource"},
		"LogicalResourceId": {c.Resource},
		"StackName":         {c.Stack},
		"Version":           {"2010-05-15"},
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
	if err != nil {
		return nil, err
	}
	now := time.Now().Add(c.ahead)
	if c.old {
		awsquery.SignV2(req, c.Credentials, now)
		return req, nil
	}
	return req, awsquery.SignV4(ctx, req, nil, c.Credentials, c.Region, awsquery.CloudFormation, now)
}

// learnTime says, once, that the server's time is to be used from now on.
func (c *call) learnTime(e *awsquery.Error, h http.Header) bool {
	if c.skewed || e.Status != http.StatusUnauthorized && e.Status != http.StatusForbidden {
		return false
	}
	ahead, ok := Skew(h, time.Now())
	if !ok {
		return false
	}
	c.ahead, c.skewed = ahead, true
	c.log().Warn("clock differs from the server's, signing with the server's time", "ahead", ahead.Round(time.Second))
	return true
}

// learnVersion says, once, that version 2 is to be used from now on. A Heat
// from before Havana looks for the signature in the query only and misses it;
// one whose Keystone has no version 4 calls it wrong.
func (c *call) learnVersion(e *awsquery.Error) bool {
	switch e.Code {
	case "IncompleteSignature", "MissingAuthenticationToken", "SignatureDoesNotMatch":
	default:
		return false
	}
	if c.old {
		return false
	}
	c.old = true
	c.log().Warn("signature version 4 refused, trying version 2", "err", e)
	return true
}

// Skew tells from an answer's Date how far the server's clock is ahead of
// now; ok says that it is far enough, more than 5 minutes either way, to make
// a signature worthless.
func Skew(h http.Header, now time.Time) (ahead time.Duration, ok bool) {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0, false
	}
	ahead = date.Sub(now)
	return ahead, ahead.Abs() > maxSkew
}

func (c *Client) log() *slog.Logger {
	if c.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Log
}
