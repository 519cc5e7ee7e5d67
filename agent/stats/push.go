package stats

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/metric"
	"github.com/cfn-agent/cfn-agent/agent/retry"
	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/metadata/cfnapi"
)

// drainLimit is how long one push goes on with what was kept before.
const drainLimit = 20 * time.Second

// DefaultRetry is the policy of a push: short, since the next one comes within
// the minute, and what cannot be sent is kept.
func DefaultRetry() retry.Policy {
	return retry.Policy{First: time.Second, Factor: 2, Max: 5 * time.Second, Total: 20 * time.Second, Tries: 3}
}

// A Pusher sends datapoints to an alarm server. HTTP, Endpoint and
// Credentials must be set. It may be used again and again, by one goroutine at
// a time, and keeps connections as its HTTP client does.
type Pusher struct {
	HTTP        *http.Client
	Endpoint    *url.URL // ends in /v1/; Server finds it
	Region      string   // of the signature; empty: awsquery.DefaultRegion
	Credentials awsquery.Credentials
	Retry       retry.Policy // zero: one try
	Spool       Spool        // zero: nothing is kept
	Log         *slog.Logger // nil: none

	ahead time.Duration // of the server's clock, where that is far from ours
}

// A Result is what became of the datapoints of a push.
type Result struct {
	Sent     int // datapoints of this push that the server took
	Spooled  int // of this push, kept for later
	Replayed int // of earlier ones, taken now
}

// Push sends datapoints, those of one namespace in one request. Where the
// server cannot be reached, or cannot take them now, they are kept in the
// spool, with the time of this push if they have none, which is no error. What it refuses is not
// kept, and is one. Once the server has taken a datapoint it gets what was
// kept before, oldest first.
func (p *Pusher) Push(ctx context.Context, points []metric.Datapoint) (Result, error) {
	var r Result
	var errs []error
	var rest []metric.Datapoint
	for _, point := range points {
		if err := point.Check(); err != nil {
			errs = append(errs, err)
			continue
		}
		rest = append(rest, point)
	}
	now := time.Now()
	for len(rest) > 0 {
		batch, next := metric.Cut(rest)
		again, err := p.send(ctx, p.timed(batch, now), p.Retry)
		if again {
			err = p.keep(ctx, rest, now, err)
			if err == nil {
				r.Spooled = len(rest)
			}
			return r, errors.Join(append(errs, err)...)
		}
		if err != nil {
			errs = append(errs, err)
		} else {
			r.Sent += len(batch)
		}
		rest = next
	}
	if r.Sent > 0 && p.Spool.Path != "" {
		r.Replayed = p.drain(ctx)
	}
	return r, errors.Join(errs...)
}

// keep puts datapoints into the spool; cause is why.
func (p *Pusher) keep(ctx context.Context, points []metric.Datapoint, now time.Time, cause error) error {
	if p.Spool.Path == "" {
		return cause
	}
	// Also when the program is being stopped.
	k, err := p.Spool.Add(context.WithoutCancel(ctx), points, now)
	if err != nil {
		return fmt.Errorf("%w; %w", cause, err)
	}
	p.log().Warn("kept to be sent later: "+cause.Error(), "points", len(points), "kept", len(k.Points), "dropped", k.Dropped)
	return nil
}

// drain sends what the spool holds, with the times at which it was measured,
// by the server's clock. It returns how much was sent.
func (p *Pusher) drain(ctx context.Context) int {
	ctx, cancel := context.WithTimeoutCause(ctx, drainLimit, fmt.Errorf("no time left after %v", drainLimit))
	defer cancel()
	now := time.Now()
	sent, dropped, err := p.Spool.Drain(ctx, now, func(batch []metric.Datapoint) (bool, error) {
		again, err := p.send(ctx, p.timed(batch, now), retry.Policy{})
		if err != nil && !again {
			p.log().Warn("kept datapoints refused: "+err.Error(), "points", len(batch))
		}
		return again, err
	})
	switch {
	case err != nil:
		p.log().Warn("not all that was kept could be sent: "+err.Error(), "sent", sent)
	case dropped > 0:
		p.log().Warn("some datapoints were never sent: there were too many, or they were too old, or refused", "sent", sent, "dropped", dropped)
	case sent > 0:
		p.log().Info("what was kept has been sent", "sent", sent)
	}
	return sent
}

// timed are datapoints with the times that they have, by the server's clock.
func (p *Pusher) timed(batch []metric.Datapoint, now time.Time) []metric.Datapoint {
	list := make([]metric.Datapoint, len(batch))
	for i, point := range batch {
		if point.Time.After(now) {
			point.Time = now // of a clock that has been put back since
		}
		if !point.Time.IsZero() {
			point.Time = point.Time.Add(p.ahead)
		}
		list[i] = point
	}
	return list
}

// send sends one request, again as the policy allows. again says that the
// server may take it later.
func (p *Pusher) send(ctx context.Context, batch []metric.Datapoint, policy retry.Policy) (again bool, err error) {
	body := []byte(awsquery.Encode(metric.Form(batch)))
	// One signature for all tries: a server that took the first one, whose
	// answer was lost, knows the second for the same.
	now := time.Now()
	err = policy.Do(ctx, func(ctx context.Context) error {
		err := p.try(ctx, body, now)
		e, _ := errors.AsType[*awsquery.Error](err)
		switch {
		case !passes(err):
			return err
		case e != nil:
			return retry.After(err, e.RetryAfter)
		}
		return retry.Temporary(err)
	})
	if err != nil {
		again = passes(err)
		err = fmt.Errorf("push to %s: %w", awsquery.RedactURL(p.Endpoint), err)
	}
	return again, err
}

// try sends once, and at once again when it has learned the server's time.
func (p *Pusher) try(ctx context.Context, body []byte, now time.Time) error {
	x := awsquery.Exchange{HTTP: p.HTTP, Limit: 1 << 20}
	for corrected := false; ; corrected = true {
		a, err := x.Do(ctx, p.Endpoint, func(ctx context.Context, u *url.URL) (*http.Request, error) { return p.build(ctx, u, body, now) })
		if err == nil && !bytes.Contains(a.Body, []byte("PutMetricDataResponse")) {
			err = fmt.Errorf("%w: not one to PutMetricData", awsquery.ErrBadAnswer)
		}
		p.log().Debug("datapoints pushed", "host", p.Endpoint.Host, "bytes", len(body), "status", a.Status, "err", err)
		learned := p.learnTime(a.Header)
		e, refused := errors.AsType[*awsquery.Error](err)
		if !refused || e.Status != http.StatusUnauthorized && e.Status != http.StatusForbidden || !learned || corrected {
			return err
		}
	}
}

// learnTime compares the clocks, and says whether what was known of them has
// changed. Either may have been set since the last push.
func (p *Pusher) learnTime(h http.Header) bool {
	if h.Get("Date") == "" {
		return false
	}
	ahead, skewed := cfnapi.Skew(h, time.Now())
	if !skewed {
		ahead = 0
	}
	if (ahead - p.ahead).Abs() < time.Minute {
		return false
	}
	p.ahead = ahead
	if skewed {
		p.log().Warn("clock differs from the server's, signing with the server's time", "ahead", ahead.Round(time.Second))
	} else {
		p.log().Info("clock agrees with the server's again")
	}
	return true
}

func (p *Pusher) build(ctx context.Context, u *url.URL, body []byte, now time.Time) (*http.Request, error) {
	to := *u
	to.User, to.Fragment = nil, ""
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	return req, awsquery.SignV4(ctx, req, body, p.Credentials, p.Region, awsquery.CloudWatch, now.Add(p.ahead))
}

// passes says whether an error is of a server that cannot be reached or is too
// busy, and not one that refuses.
func passes(err error) bool {
	if err == nil {
		return false
	}
	if e, ok := errors.AsType[*awsquery.Error](err); ok {
		switch e.Status {
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
			return false
		case http.StatusBadRequest:
			return strings.HasPrefix(e.Code, "Throttling")
		}
	}
	var p awsquery.Patience
	return p.Worth(err, time.Now())
}

func (p *Pusher) log() *slog.Logger {
	if p.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return p.Log
}
