package outbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/watch"
)

// Post sends messages: webhooks and, as Signal, what Heat signed URLs for.
type Post struct {
	Secret awsquery.Secret // signs bodies; empty: they are not signed
	DryRun bool            // is said in the body
	Access Access

	clients clients
}

// postTimeout is how long a receiver may take for its answer.
const postTimeout = 30 * time.Second

// Look has nothing to ask: a receiver that got the message before knows it by
// its Idempotency-Key.
func (p *Post) Look(context.Context, Row) (Sight, error) { return Sight{}, nil }

// Verify has nothing to ask either.
func (p *Post) Verify(context.Context, Row) (Sight, error) { return Sight{}, nil }

// Act sends the message once.
func (p *Post) Act(ctx context.Context, r Row) (Answer, error) {
	u, err := url.Parse(r.Action)
	if err != nil {
		return Answer{}, errors.New("the URL cannot be read")
	}
	if isSignal(u) {
		return p.signal(ctx, r, u)
	}
	return p.post(ctx, r, u, r.Key)
}

// signal sends a row to a URL that Heat signed for one verb. The body must be
// JSON and said to be: heat-api-cfn takes any other for a form, and its
// content for parameters that nobody signed.
func (p *Post) signal(ctx context.Context, r Row, u *url.URL) (Answer, error) {
	method, data, err := http.MethodPost, []byte(nil), error(nil)
	if strings.Contains(u.EscapedPath(), "/waitcondition/") {
		method = http.MethodPut
		data, err = handleBody(r)
	} else {
		data, err = bodyOf(r, p.DryRun)
	}
	if err != nil {
		return Answer{}, err
	}
	req, err := request(ctx, method, u, data)
	if err != nil {
		return Answer{}, err
	}
	return p.send(req, r)
}

// post sends a row to a webhook.
func (p *Post) post(ctx context.Context, r Row, u *url.URL, key string) (Answer, error) {
	data, err := bodyOf(r, p.DryRun)
	if err != nil {
		return Answer{}, err
	}
	req, err := request(ctx, http.MethodPost, u, data)
	if err != nil {
		return Answer{}, err
	}
	req.Header.Set("Idempotency-Key", key)
	if p.Secret != "" {
		mac := hmac.New(sha256.New, []byte(p.Secret))
		mac.Write(data)
		req.Header.Set("X-CfnWatch-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	return p.send(req, r)
}

func request(ctx context.Context, method string, u *url.URL, data []byte) (*http.Request, error) {
	// The text of the URL is signed: it goes as it came, its escapes and the
	// order of its parameters too.
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(data))
	if err != nil {
		return nil, errors.New("the URL cannot be sent") // the cause quotes it
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "cfn-watch")
	return req, nil
}

// send does a request, and judges the answer by its status alone: what a
// receiver writes is not for the history of a tenant, who may have chosen it.
func (p *Post) send(req *http.Request, r Row) (Answer, error) {
	ctx, cancel := context.WithTimeoutCause(req.Context(), postTimeout, fmt.Errorf("no answer within %s", postTimeout))
	defer cancel()
	resp, err := p.clients.of(p.Access, r.Origin).Do(req.WithContext(ctx))
	if err != nil {
		return Answer{}, unsent(ctx, err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	a := Answer{HTTP: resp.StatusCode, Request: requestID.FindString(resp.Header.Get("X-Openstack-Request-Id")), Text: req.Method + " " + Shown(r.Action)}
	return a, judge(resp, r.Action)
}

// requestID is what OpenStack's services call a request. Anything else is what
// a receiver likes to have kept.
var requestID = regexp.MustCompile(`^req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// unsent is a request without an answer: as an error without its URL.
func unsent(ctx context.Context, err error) error {
	if errors.Is(err, errPrivate) { // it says too which address a name has
		return &Failure{Err: errPrivate, Fate: NotHere}
	}
	err = bare(err)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return &Failure{Err: err, Fate: Again}
}

// bare is an error of net/http without the URL, which may hold a secret, and
// without the resolver that was asked: projects read their history.
func bare(err error) error {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		if e.IsNotFound {
			return fmt.Errorf("there is no host %s", e.Name)
		}
		return fmt.Errorf("the host %s cannot be looked up", e.Name)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if text := err.Error(); len(text) > len(clip(text)) { // it quotes the receiver
		return errors.New(clip(text))
	}
	return err
}

// judge is nil for a status that takes the message; a refusal that will stay
// one is hopeless, every other worth another try.
func judge(resp *http.Response, action string) error {
	s := resp.StatusCode
	f := &Failure{Err: fmt.Errorf("HTTP %d", s), HTTP: s, Fate: Again, After: awsquery.RetryAfter(resp.Header, time.Now())}
	switch {
	case s/100 == 2:
		return nil
	case s/100 == 3:
		f.Fate, f.Err = Hopeless, fmt.Errorf("HTTP %d: redirected elsewhere, which is not followed", s)
	case s == http.StatusForbidden && strings.Contains(action, "Signature="):
		f.Fate, f.Err = Hopeless, fmt.Errorf("HTTP %d: Heat does not take the signature (of a wait condition it ends with Keystone's auth_ttl)", s)
	case s/100 == 4 && s != http.StatusRequestTimeout && s != http.StatusTooEarly && s != http.StatusTooManyRequests:
		f.Fate = Hopeless
	}
	return f
}

// endpointOf is where an action goes, as scheme and host; empty when that is
// not known before.
func endpointOf(action string) string {
	if strings.HasPrefix(action, prefix) {
		return ""
	}
	u, err := url.Parse(action)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// trusted says that an alarm of that origin is the operator's own.
func trusted(o watch.Origin) bool { return o == watch.FromRules }
