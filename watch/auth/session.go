package auth

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/config/clouds"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
)

const (
	// loginFor bounds one login; while one failed this short a time ago, none
	// is tried, so that waiting requests do not fail one after another.
	loginFor    = 10 * time.Second
	loginPause  = 5 * time.Second
	renewNoMore = time.Minute
)

// A session is a login at Keystone that is made anew when it has ended.
type session struct {
	options gophercloud.AuthOptions
	http    http.Client
	log     *slog.Logger
	away    atomic.Bool // Keystone did not answer the last call

	answered atomic.Bool // it did answer one

	lock   chan struct{} // of the rest; a channel, since a wait ends with its context
	client *gophercloud.ServiceClient
	since  time.Time // of client
	failed time.Time // the last login that did
	err    error     // of it
}

// openSession reads the login of a cloud from clouds.yaml, and asks nobody.
func openSession(o KeystoneOptions) (*session, error) {
	options, _, tlsConfig, err := clouds.Parse(clouds.WithCloudName(o.Cloud))
	if _, none := errors.AsType[clouds.ErrFileNotFound](err); none {
		err = noClouds{err}
	}
	if err != nil {
		return nil, fmt.Errorf("clouds.yaml: cloud %s: %w", o.Cloud, err)
	}
	transport := o.Transport
	if transport == nil {
		transport = newTransport(tlsConfig, o.Concurrency)
	}
	return &session{options: options, http: http.Client{Transport: transport}, log: o.Log, lock: make(chan struct{}, 1)}, nil
}

// noClouds is that there is no clouds.yaml where this user looks for one.
type noClouds struct{ error }

// Is says that it is fs.ErrNotExist.
func (noClouds) Is(target error) bool { return target == fs.ErrNotExist }

func newTransport(config *tls.Config, idle int) http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig, t.MaxIdleConnsPerHost = config, idle
	return t
}

// login is the present client, or a new one where there is none, or where it
// is refused.
func (s *session) login(ctx context.Context, refused *gophercloud.ServiceClient) (*gophercloud.ServiceClient, error) {
	select {
	case s.lock <- struct{}{}:
		defer func() { <-s.lock }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	switch {
	case s.client != nil && (s.client != refused || time.Since(s.since) < renewNoMore):
		return s.client, nil
	case s.err != nil && time.Since(s.failed) < loginPause:
		return nil, s.err
	}
	client, err := s.connect(ctx)
	if err != nil {
		s.failed, s.err = time.Now(), fmt.Errorf("log in at %s: %w", s.options.IdentityEndpoint, brief(err))
		return nil, s.err
	}
	s.client, s.since, s.err = client, time.Now(), nil
	return client, nil
}

// connect logs in. A caller that gives up leaves the login to those who wait.
func (s *session) connect(ctx context.Context) (*gophercloud.ServiceClient, error) {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), loginFor, fmt.Errorf("no answer in %s", loginFor))
	defer cancel()
	p, err := openstack.NewClient(s.options.IdentityEndpoint)
	if err != nil {
		return nil, err
	}
	p.HTTPClient = s.http
	if err := openstack.Authenticate(ctx, p, s.options); err != nil {
		return nil, errors.Join(err, context.Cause(ctx))
	}
	// What the catalog calls Keystone may be out of this machine's reach; where
	// the login went is not.
	return &gophercloud.ServiceClient{ProviderClient: p, Endpoint: p.IdentityBase + "v3/", Type: "identity"}, nil
}

// do makes a call, and makes it again with a new login when it is refused with
// 401 and the login is older than a minute. A younger one is not to blame.
func (s *session) do(ctx context.Context, call func(*gophercloud.ServiceClient) error) error {
	client, err := s.login(ctx, nil)
	if err != nil {
		return err
	}
	err = call(client)
	if !gophercloud.ResponseCodeIs(err, http.StatusUnauthorized) {
		return err
	}
	renewed, err2 := s.login(ctx, client)
	if err2 != nil {
		return err2
	}
	if renewed == client {
		return err
	}
	return call(renewed)
}

// get reads a resource into to.
func (s *session) get(ctx context.Context, path string, to any) error {
	err := s.do(ctx, func(c *gophercloud.ServiceClient) error {
		_, err := c.Get(ctx, c.ServiceURL(path), to, nil)
		return err
	})
	return s.tell("GET "+path, err)
}

// post sends a body, which may be sent again, and reads the answer into to.
func (s *session) post(ctx context.Context, path string, body []byte, to any) error {
	err := s.do(ctx, func(c *gophercloud.ServiceClient) error {
		_, err := c.Post(ctx, c.ServiceURL(path), nil, to, &gophercloud.RequestOpts{
			RawBody: bytes.NewReader(body), OkCodes: []int{http.StatusOK}, MoreHeaders: map[string]string{"Content-Type": "application/json"},
		})
		return err
	})
	return s.tell("POST "+path, err)
}

// tell says what a call was for in its error, and logs when Keystone ceases to
// answer or begins to: who pushes then cannot be told, but for known keys.
func (s *session) tell(call string, err error) error {
	if err != nil {
		err = fmt.Errorf("%s: %w", call, brief(err))
	}
	switch {
	case err == nil, answered(err, http.StatusNotFound), answered(err, http.StatusUnauthorized):
		s.answered.Store(true)
		if s.away.Swap(false) {
			s.log.Info("Keystone answers again")
		}
	case !errors.Is(err, context.Canceled):
		if !s.away.Swap(true) {
			s.log.Error("Keystone does not tell whose an access key is: those that are known go on for a time, others are told to come later", "err", err)
		}
	}
	return err
}

// A status is an answer of Keystone that is no success.
type status struct {
	error
	code  int
	words string // of its error document; empty: it was none
}

// brief makes one line of an answer that gophercloud tells with all of its
// body and the request's URL.
func brief(err error) error {
	e, ok := errors.AsType[gophercloud.ErrUnexpectedResponseCode](err)
	if !ok {
		return err
	}
	said := awsquery.ParseError(e.Actual, e.Body)
	words := said.Message
	if !bytes.HasPrefix(bytes.TrimSpace(e.Body), []byte("{")) {
		words = ""
	}
	return status{said, e.Actual, words}
}

// answered says whether err is that answer of Keystone itself: a proxy or a
// wrong URL may give the same code, but not with an error document.
func answered(err error, code int) bool {
	e, ok := errors.AsType[status](err)
	return ok && e.code == code && e.words != ""
}
