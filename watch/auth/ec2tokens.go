package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/singleflight"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/watch"
)

// queuedFor is how many requests may wait for each that is being asked about:
// more could not be asked about in askFor.
const queuedFor = 32

// An asker has Keystone verify each request (POST /v3/ec2tokens). It keeps
// nothing of the answers but which keys are in use: without the secret, a yes
// says nothing about the next signature.
//
// Anybody can make up access keys. Those that Keystone has not confirmed wait
// in a queue of their own, and are asked about at most half at a time: they
// cannot keep out who is known. Nor can wrong signatures with a key that is
// known keep out other keys: those take turns.
type asker struct {
	session     *session
	stackDomain string
	turns       turns         // to be asked about
	strange     chan struct{} // those of the turns that keys not confirmed may have
	strangers   atomic.Int64  // requests with such keys, waiting or being asked about
	flights     singleflight.Group
	absent      *recall
	known       *recall // keys that Keystone has confirmed
	rates       origins // of requests with keys that it has not
}

func newAsker(s *session, o KeystoneOptions) *asker {
	return &asker{session: s, stackDomain: o.StackDomain, turns: turns{most: o.Concurrency, room: o.Concurrency * queuedFor}, strange: make(chan struct{}, (o.Concurrency+1)/2),
		absent: newAbsence(), known: &recall{last: o.Stale, limit: knownLimit}}
}

// An ec2Request is what Keystone needs to verify a signature, as heat-api-cfn
// sends it. All its fields must be there: without host Keystone does not even
// answer.
type ec2Request struct {
	Access    string            `json:"access"`
	Signature string            `json:"signature"`
	Host      string            `json:"host"`
	Verb      string            `json:"verb"`
	Path      string            `json:"path"`
	Params    map[string]string `json:"params"`
	Headers   map[string]string `json:"headers"`
	BodyHash  string            `json:"body_hash"`
}

// tokenAnswer is what is read of the token that Keystone issues. Its id is in
// a header that nobody reads.
type tokenAnswer struct {
	Token struct {
		Project struct {
			ID, Name string
			Domain   struct{ ID, Name string }
		}
		Roles []struct{ Name string }
	}
}

// caller is who signed a request. Identical requests share an answer.
func (a *asker) caller(ctx context.Context, r *http.Request, s *awsquery.Signature, body []byte) (watch.Caller, error) {
	if a.absent.has(s.Access) {
		return watch.Caller{}, notKnown()
	}
	ask := a.ask
	if !a.known.has(s.Access) {
		if !a.rates.take(r.RemoteAddr) {
			return watch.Caller{}, errStrangers
		}
		ask = a.askStranger
	}
	question, err := json.Marshal(map[string]ec2Request{"ec2Credentials": question(r, s, body)})
	if err != nil {
		return watch.Caller{}, err
	}
	sum := sha256.Sum256(question)
	h, err := share(ctx, &a.flights, string(sum[:]), func(ctx context.Context) (holder, error) { return ask(ctx, s.Access, question) })
	switch {
	case answered(err, http.StatusNotFound):
		a.absent.add(s.Access)
		a.known.remove(s.Access)
		return watch.Caller{}, notKnown()
	case answered(err, http.StatusUnauthorized):
		return watch.Caller{}, denied("Keystone refuses the access key, its user, the signature or its time")
	case err != nil:
		return watch.Caller{}, err
	}
	a.known.add(s.Access)
	return h.caller(s.Access, a.stackDomain)
}

func notKnown() *Error { return unknown("Keystone does not know the access key") }

var (
	errBusy      = errors.New("too many requests wait for Keystone")
	errStrangers = errors.New("too many requests with keys that were not confirmed before wait for Keystone")
)

// askStranger shows a request to Keystone whose key it has not confirmed.
func (a *asker) askStranger(ctx context.Context, access string, question []byte) (holder, error) {
	defer a.strangers.Add(-1)
	if a.strangers.Add(1) > int64(cap(a.strange)*(queuedFor+1)) {
		return holder{}, errStrangers
	}
	select {
	case a.strange <- struct{}{}:
		defer func() { <-a.strange }()
	case <-ctx.Done():
		return holder{}, context.Cause(ctx)
	}
	return a.ask(ctx, access, question)
}

// ask shows a request to Keystone.
func (a *asker) ask(ctx context.Context, access string, question []byte) (holder, error) {
	if err := a.turns.take(ctx, access); err != nil {
		return holder{}, err
	}
	defer a.turns.give()
	var t tokenAnswer
	if err := a.session.post(ctx, "ec2tokens", question, &t); err != nil {
		return holder{}, err
	}
	p := t.Token.Project
	h := holder{project: p.ID, projectName: p.Name, domain: p.Domain.ID, domainName: p.Domain.Name}
	for _, role := range t.Token.Roles {
		h.roles = append(h.roles, role.Name)
	}
	if h.project == "" || h.domain == "" {
		return holder{}, errors.New("POST ec2tokens: the answer names no project")
	}
	return h, nil
}

// question is a request as Keystone wants to hear of it. The parameters are
// those that are signed: a POST of version 4 has none.
func question(r *http.Request, s *awsquery.Signature, body []byte) ec2Request {
	sum := sha256.Sum256(body)
	q := ec2Request{
		Access: s.Access, Signature: s.Text, Host: r.Host, Verb: r.Method, Path: s.Path,
		Params: s.Params, Headers: map[string]string{"Host": r.Host}, BodyHash: hex.EncodeToString(sum[:]),
	}
	if q.Params == nil {
		q.Params = map[string]string{}
	}
	for name, values := range r.Header {
		q.Headers[name] = strings.Join(values, ",")
	}
	if _, ok := q.Headers["Content-Length"]; !ok {
		q.Headers["Content-Length"] = fmt.Sprint(len(body))
	}
	return q
}
