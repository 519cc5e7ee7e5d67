package fetch

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/retry"
	"github.com/cfn-agent/cfn-agent/metadata"
)

const (
	headerTime   = 40 * time.Second // connect 10 s, header 30 s
	idleTime     = 60 * time.Second
	maxRedirects = 10
	settleTime   = 60 * time.Second // for so long after the first try a refusal may pass
	maxSkew      = 5 * time.Minute
	errorBody    = 64 << 10
)

// A StatusError is an answer other than success.
type StatusError struct{ Status int }

// Error is the status and its text.
func (e *StatusError) Error() string {
	if text := http.StatusText(e.Status); text != "" {
		return fmt.Sprintf("%d %s", e.Status, text)
	}
	return strconv.Itoa(e.Status)
}

var (
	errTooSlow = errors.New("no answer in time")
	errIdle    = errors.New("nothing more came for too long")
)

func (c *Client) download(ctx context.Context, w *sink, t target, r Request) (*File, error) {
	p := c.Retry
	if p == (retry.Policy{}) {
		p = retry.Default()
	}
	// Total would end a long download in the middle.
	d := tries{policy: p, target: t, start: time.Now()}
	p.Total = 0
	var f *File
	err := p.Do(ctx, func(ctx context.Context) error {
		var err error
		var after time.Duration
		f, after, err = c.try(ctx, w, t, r)
		if err == nil || ctx.Err() != nil {
			return err
		}
		d.number, d.last = d.number+1, err
		if !d.again(after) {
			return err
		}
		d.tell(ctx)
		return retry.After(err, after)
	})
	return f, d.gaveUp(ctx, err)
}

func temporary(err error, elapsed time.Duration) bool {
	if s, ok := errors.AsType[*StatusError](err); ok {
		switch s.Status {
		case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
			return true
		}
		return s.Status >= 500 || refusal(s.Status) && elapsed < settleTime
	}
	if _, ok := errors.AsType[writeError](err); ok {
		return false
	}
	if _, ok := errors.AsType[permanentError](err); ok {
		return false
	}
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	return !authority && !host
}

// A permanentError is an answer that will not change.
type permanentError struct{ error }

// try makes the requests of one try, following redirects, and copies the
// body. after is how long the server asks to wait.
func (c *Client) try(ctx context.Context, w *sink, t target, r Request) (f *File, after time.Duration, err error) {
	if err := w.reset(); err != nil {
		return nil, 0, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(cmp.Or(c.Header, headerTime), func() { cancel(errTooSlow) })
	defer timer.Stop()
	h := hop{url: t.url, auth: t.auth, region: c.firstRegion(t)}
	for range maxRedirects {
		resp, err := c.send(ctx, h, r)
		if err != nil {
			return nil, 0, cmp.Or(context.Cause(ctx), plain(err))
		}
		next, again := next(t, h, resp)
		if !again {
			timer.Stop()
			defer resp.Body.Close()
			f, err := c.receive(ctx, cancel, answer{resp, w, r})
			return f, retryAfter(resp.Header), err
		}
		resp.Body.Close()
		timer.Reset(cmp.Or(c.Header, headerTime))
		h = next
	}
	return nil, 0, permanentError{fmt.Errorf("more than %d redirects", maxRedirects)}
}

func (c *Client) firstRegion(t target) string {
	if t.auth == nil {
		return ""
	}
	p, _ := findBucket(t.url, t.auth.Endpoint)
	switch {
	case p.region != "":
		return p.region
	case t.auth.Endpoint != "":
		return cmp.Or(c.Region, defaultRegion)
	}
	return c.region()
}

func (c *Client) send(ctx context.Context, h hop, r Request) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url.String(), nil)
	if err != nil {
		return nil, err
	}
	switch {
	case h.auth == nil:
	case h.auth.Type == metadata.AuthBasic:
		req.SetBasicAuth(h.auth.Username, string(h.auth.Password))
	case h.auth.Type == metadata.AuthS3:
		if err := sign(ctx, req, h.auth, h.region, time.Now().Add(h.clock)); err != nil {
			return nil, err
		}
	}
	// Not signed, as proxies change them. The bytes are wanted as they are
	// stored, so that size and digest are those of the file.
	req.Header.Set("Accept-Encoding", "identity")
	if r.ETag != "" {
		req.Header.Set("If-None-Match", r.ETag)
	}
	if r.LastModified != "" {
		req.Header.Set("If-Modified-Since", r.LastModified)
	}
	client := http.Client{}
	if c.HTTP != nil {
		client = *c.HTTP
	}
	// The client would carry credentials on to other ports and subdomains.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Timeout = 0
	return client.Do(req)
}

// An answer is what came, where it goes, and what was asked for.
type answer struct {
	*http.Response
	to      *sink
	request Request
}

// receive turns an answer into a file. It cancels ctx when the body pauses
// too long.
func (c *Client) receive(ctx context.Context, cancel context.CancelCauseFunc, a answer) (*File, error) {
	resp, w, r := a.Response, a.to, a.request
	conditional := r.ETag != "" || r.LastModified != ""
	f := &File{ETag: resp.Header.Get("ETag"), LastModified: resp.Header.Get("Last-Modified")}
	switch {
	case resp.StatusCode == http.StatusNotModified && conditional:
		f.NotModified = true
		return f, nil
	case resp.StatusCode != http.StatusOK:
		return nil, &StatusError{resp.StatusCode}
	case resp.ContentLength > w.limit:
		return nil, w.tooLarge()
	}
	idle := cmp.Or(c.Idle, idleTime)
	timer := time.AfterFunc(idle, func() { cancel(errIdle) })
	defer timer.Stop()
	_, err := io.Copy(w, &ticking{resp.Body, timer, idle})
	if _, disk := errors.AsType[writeError](err); disk {
		return nil, err
	}
	switch {
	case err != nil && context.Cause(ctx) != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, io.ErrUnexpectedEOF), err == nil && resp.ContentLength >= 0 && w.size != resp.ContentLength:
		return nil, fmt.Errorf("the body ended after %d of %d bytes", w.size, resp.ContentLength)
	}
	return f, plain(err)
}

// A ticking reader sets a timer back with everything it reads.
type ticking struct {
	r     io.Reader
	timer *time.Timer
	idle  time.Duration
}

func (t *ticking) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if n > 0 {
		t.timer.Reset(t.idle)
	}
	return n, err
}

func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.Atoi(v); err == nil && n > 0 {
		return time.Duration(min(n, 86400)) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}
