package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// The keys of the recordings.
const (
	guestKey, guestSecret   = "f70193d0618244cf90b19ae4e6a16970", "0a472374b8af46d2a1473ea8d17290d7"
	memberKey, memberSecret = "44b0b4dff95e4b8b904b80f263c6bf09", "36dd9183c3fd4292bb9f9aed455070f3"
	guestUser, guestProject = "b0f3a28cc0f74d23b0eb7d5bddbfcdff", "5f2a75b007c740d89d005488bf3d027a"
	memberUser, owner       = "e772323e696a47e889ccb8e887a13ebc", "b004c4f997d74b15b3c9b29ee0d50fa2"
)

var (
	guest  = watch.Caller{Access: guestKey, Project: owner, Stack: "11111111-2222-4333-8444-5555555", Role: watch.Guest}
	member = watch.Caller{Access: memberKey, Project: owner, Role: watch.Member}
)

// nextPage is what the name of an answer ends in that is the second page of a
// listing: the first one, edited by itself.
const nextPage = ", next page"

// A keystone answers with what a real one was recorded to answer. It runs
// inside a bubble, where there are no sockets.
type keystone struct {
	t testing.TB

	mu     sync.Mutex
	delay  time.Duration // of each answer
	away   bool
	edits  [][3]string     // of an answer by name: old and new text
	absent map[string]bool // answers by name that are 404
	forged map[string]bool // signatures, as sent, that are wrong
	token  int             // that is valid
	calls  map[string]int  // by name of the answer; all: ""
	at     []time.Time     // of all of them
	asking int             // ec2tokens at once
	most   int
	last   map[string]ec2Request
}

func (k *keystone) set(f func(*keystone)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(k)
}

func (k *keystone) count(name string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.calls[name]
}

func (k *keystone) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	k.mu.Lock()
	delay, away := k.delay, k.away
	asks := r.URL.Path == "/v3/ec2tokens"
	if asks {
		k.asking++
		k.most = max(k.most, k.asking)
	}
	k.mu.Unlock()
	defer k.set(func(k *keystone) {
		if asks {
			k.asking--
		}
	})
	if away {
		return nil, errors.New("connection refused")
	}
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	status, name := k.route(r, body)
	k.calls[name]++
	k.calls[""]++
	k.at = append(k.at, time.Now())
	data, err := os.ReadFile(filepath.Join("testdata/keystone", strings.TrimSuffix(name, nextPage)+".json"))
	if err != nil {
		k.t.Error(err)
	}
	for _, e := range k.edits {
		if e[0] == name {
			data = bytes.ReplaceAll(data, []byte(e[1]), []byte(e[2]))
		}
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if status == http.StatusCreated {
		k.token++
		header.Set("X-Subject-Token", fmt.Sprint("token-", k.token))
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(data)), Request: r}, nil
}

// route says which recording answers.
func (k *keystone) route(r *http.Request, body []byte) (int, string) {
	path := strings.TrimPrefix(r.URL.Path, "/v3/")
	if path == "auth/tokens" {
		if bytes.Contains(body, []byte(`"system"`)) {
			return http.StatusCreated, "login-reader"
		}
		return http.StatusCreated, "login-service"
	}
	if r.Header.Get("X-Auth-Token") != fmt.Sprint("token-", k.token) {
		return http.StatusUnauthorized, "ec2tokens-bad-token"
	}
	if path == "ec2tokens" {
		return k.ask(body)
	}
	kind, id, single := strings.Cut(path, "/")
	if user := r.URL.Query().Get("user.id"); user != "" {
		kind, id, single = "roless", user, true
	}
	if r.URL.Query().Has("marker") {
		return http.StatusOK, kind + nextPage
	}
	if !single {
		return http.StatusOK, kind
	}
	names := map[string]string{
		credentialID(guestKey): "guest", credentialID(memberKey): "member",
		guestUser: "guest", guestProject: "guest", memberUser: "member", owner: "member",
	}
	name := strings.TrimSuffix(kind, "s") + "-" + names[id]
	if names[id] == "" || k.absent[name] {
		return http.StatusNotFound, "credential-unknown"
	}
	return http.StatusOK, name
}

func (k *keystone) ask(body []byte) (int, string) {
	var question map[string]ec2Request
	if err := json.Unmarshal(body, &question); err != nil {
		k.t.Errorf("ec2tokens was asked %q", body)
	}
	k.last = question
	q := question["ec2Credentials"]
	name := map[string]string{guestKey: "ec2tokens-guest", memberKey: "ec2tokens-member"}[q.Access]
	switch {
	case name == "" || k.absent[name]:
		return http.StatusNotFound, "ec2tokens-unknown"
	case k.forged[q.Signature]:
		return http.StatusUnauthorized, "ec2tokens-bad-signature"
	}
	return http.StatusOK, name
}

// A trial is a verifier that asks a recorded Keystone, inside a bubble.
type trial struct {
	*testing.T
	*keystone
	v     *Verifier
	k     *Keystone
	start func() // and wait for what takes no time
}

// try runs a trial whose first listing has ended when f begins.
func try(t *testing.T, lookup bool, f func(trial)) {
	tryWith(t, KeystoneOptions{Lookup: lookup}, func(x trial) {
		x.start()
		f(x)
	})
}

// tryWith runs a trial with options, which f starts.
func tryWith(t *testing.T, o KeystoneOptions, f func(trial)) {
	t.Helper()
	cloudsFile(t)
	synctest.Test(t, func(t *testing.T) {
		fake := &keystone{t: t, calls: map[string]int{}, absent: map[string]bool{}, forged: map[string]bool{}}
		o.Transport = fake
		o.Cloud = map[bool]string{true: "reader", false: "service"}[o.Lookup]
		k, err := OpenKeystone(o)
		if err != nil {
			t.Fatal(err)
		}
		v := New(Options{Keystone: k})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer func() { cancel(); running.Wait() }()
		f(trial{t, fake, v, k, func() {
			running.Go(func() { v.Run(ctx) })
			synctest.Wait()
		}})
	})
}

func cloudsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clouds.yaml")
	write(t, path, `clouds:
  reader:
    auth: {auth_url: "http://keystone.test:5000/v3", username: reader, password: pass, user_domain_id: default, system_scope: all}
  service:
    auth: {auth_url: "http://keystone.test:5000/v3", username: service, password: pass, user_domain_id: default, project_name: service, project_domain_id: default}
`)
	t.Setenv("OS_CLIENT_CONFIG_FILE", path)
}

// push verifies a push that is signed now.
func (x trial) push(access, secret string) (watch.Caller, error) {
	r := signed(x, access, secret, time.Now())
	p, err := x.v.Verify(x.Context(), r, bodyOf(r), time.Now())
	if err != nil {
		return watch.Caller{}, err
	}
	p.Done(false)
	return p.Caller, nil
}

// wants checks what a push gives: a caller or the code of a refusal.
func (x trial) wants(what, access, secret string, want watch.Caller, refusal string) {
	x.Helper()
	got, err := x.push(access, secret)
	if got != want || code(err) != refusal {
		x.Errorf("%s: Verify = %+v, %v, want %+v, code %q", what, got, err, want, refusal)
	}
}

// atOnce is wants for a push that must not wait.
func (x trial) atOnce(what, access, secret string, want watch.Caller, refusal string) {
	x.Helper()
	began := time.Now()
	x.wants(what, access, secret, want, refusal)
	if waited := time.Since(began); waited > 0 {
		x.Errorf("%s: it waited %v, want no time", what, waited)
	}
}

// replace puts a text of an answer in the place of another.
func (x trial) replace(name, old, new string) {
	x.Helper()
	data, err := os.ReadFile("testdata/keystone/" + name + ".json")
	if err != nil || !bytes.Contains(data, []byte(old)) {
		x.Fatalf("%s holds no %q: %v", name, old, err)
	}
	x.set(func(k *keystone) { k.edits = append(k.edits, [3]string{name, old, new}) })
}

// nobody is what a refusal gives.
var nobody watch.Caller
