package awsquery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// An Exchange sends one request and takes the whole answer. HTTP must be set;
// its transport bounds the time to connect and to the first byte.
type Exchange struct {
	HTTP  *http.Client
	Idle  time.Duration // longest silence inside a body; 0: 60 s
	Limit int64         // largest body in bytes, decompressed; 0: 16 MiB
}

// An Answer is what a server gave, its body read to the end.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// ErrorLimit is how much is read of the body of a refusal, in bytes: enough
// for any error document.
const ErrorLimit = 64 << 10

const (
	defaultIdle  = time.Minute
	defaultLimit = 16 << 20
	maxRedirects = 5
)

// Do sends the request that build makes, and signs, for u. A redirect is
// followed by building the request anew, with its method, and only on the
// same host name and never from https to http: a signature made for one host
// is not shown to another. A status other than 2xx is an *Error, returned
// with the Answer. No error holds a signature.
func (x Exchange) Do(ctx context.Context, u *url.URL, build func(context.Context, *url.URL) (*http.Request, error)) (Answer, error) {
	client := *x.HTTP
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	seen := map[string]bool{}
	for {
		seen[u.String()] = true
		a, err := x.once(ctx, &client, u, build)
		if err != nil || a.Status/100 == 2 {
			return a, err
		}
		if !a.redirects() {
			e := ParseError(a.Status, a.Body)
			e.RetryAfter = RetryAfter(a.Header, time.Now())
			return a, e
		}
		if u, err = follow(u, a.Header.Get("Location")); err != nil {
			return a, err
		}
		if seen[u.String()] {
			return a, final{fmt.Errorf("redirected in a circle, to %s again", RedactURL(u))}
		}
		if len(seen) > maxRedirects {
			return a, final{fmt.Errorf("redirected more than %d times, last to %s", maxRedirects, RedactURL(u))}
		}
	}
}

func (a Answer) redirects() bool {
	switch a.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return a.Header.Get("Location") != ""
	}
	return false
}

// follow returns where a redirect from u leads, if it may be followed.
func follow(u *url.URL, location string) (*url.URL, error) {
	next, err := u.Parse(location)
	if err != nil {
		return nil, final{errors.New("redirected to something that is not a URL")}
	}
	next.User = nil
	sameHost := strings.EqualFold(next.Hostname(), u.Hostname())
	if !sameHost || next.Scheme != "https" && next.Scheme != u.Scheme {
		return nil, final{fmt.Errorf("redirected to %s, where a request signed for %s must not go: if it is right, give that URL yourself",
			RedactURL(next), u.Scheme+"://"+u.Host)}
	}
	return next, nil
}

func (x Exchange) once(ctx context.Context, client *http.Client, u *url.URL, build func(context.Context, *url.URL) (*http.Request, error)) (Answer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := build(ctx, u)
	if err != nil {
		return Answer{}, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, bare(err)
	}
	defer resp.Body.Close()
	a := Answer{Status: resp.StatusCode, Header: resp.Header}
	if a.Status/100 != 2 {
		// What can be read of a refusal is enough.
		a.Body, _ = x.read(cancel, resp.Body, ErrorLimit)
		return a, nil
	}
	limit := x.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	a.Body, err = x.read(cancel, resp.Body, limit+1)
	switch {
	case err != nil && ctx.Err() != nil:
		return a, fmt.Errorf("read answer: %w", context.Cause(ctx))
	case err != nil:
		return a, fmt.Errorf("read answer: %w", err)
	case int64(len(a.Body)) > limit:
		return a, final{fmt.Errorf("answer is larger than %d bytes", limit)}
	}
	return a, nil
}

// read takes at most limit bytes and gives up on silence.
func (x Exchange) read(cancel context.CancelCauseFunc, body io.Reader, limit int64) ([]byte, error) {
	idle := x.Idle
	if idle == 0 {
		idle = defaultIdle
	}
	timer := time.AfterFunc(idle, func() { cancel(fmt.Errorf("no byte came for %v", idle)) })
	defer timer.Stop()
	return io.ReadAll(io.LimitReader(alive{body, timer, idle}, limit))
}

// alive puts off the end of patience whenever bytes come.
type alive struct {
	io.Reader
	timer *time.Timer
	idle  time.Duration
}

func (a alive) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if n > 0 {
		a.timer.Reset(a.idle)
	}
	return n, err
}

// bare takes the URL, and so the signature, off an error of net/http.
func bare(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
