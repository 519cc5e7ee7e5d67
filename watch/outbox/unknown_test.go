package outbox_test

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
	"sync/atomic"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/auth"
)

// A verified is a cloud whose guests' keys only Keystone knows, which verifies
// each push.
type verified struct {
	*cloud
	v    *auth.Verifier
	away atomic.Bool // Keystone is
	end  func()
	keys map[string]string // of guests that have another key than before, by project
}

// RoundTrip is Keystone: it says that an access key is that of a member of the
// project of the same name, but for the last letter if it is a capital.
func (k *verified) RoundTrip(r *http.Request) (*http.Response, error) {
	if k.away.Load() {
		return nil, errors.New("connection refused")
	}
	answer := func(status int, body string) *http.Response {
		h := http.Header{"Content-Type": {"application/json"}, "X-Subject-Token": {"t"}}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}
	}
	if strings.HasSuffix(r.URL.Path, "auth/tokens") {
		return answer(http.StatusCreated, `{"token": {"expires_at": "2100-01-01T00:00:00Z", "catalog": []}}`), nil
	}
	var q struct {
		Credentials struct{ Access string } `json:"ec2Credentials"`
	}
	body, _ := io.ReadAll(r.Body)
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&q); err != nil {
		k.t.Errorf("Keystone is asked %q", body)
	}
	project := strings.TrimRight(q.Credentials.Access, "ABC")
	return answer(http.StatusOK, fmt.Sprintf(`{"token": {"project": {"id": %q, "name": "n", "domain": {"id": "default", "name": "Default"}}, "roles": [{"name": "member"}]}}`, project)), nil
}

// verify starts the server's side of it, which knows nobody.
func (k *verified) verify() {
	k.t.Helper()
	keystone, err := auth.OpenKeystone(auth.KeystoneOptions{Cloud: "service", Transport: k})
	if err != nil {
		k.t.Fatal(err)
	}
	k.v = auth.New(auth.Options{Keystone: keystone, Fed: k.engine.Keys, NotHeard: func(access string) { k.engine.SignOfLife(k.now(), access) }})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { k.v.Run(ctx); close(ended) }()
	k.end = func() { cancel(); <-ended }
	k.refuse = func(g *guest) { // which here decides what becomes of a push
		access := g.project + k.keys[g.project]
		caller, err := k.signed(k.v, access, 0)
		if e, ok := errors.AsType[*auth.Error](err); ok {
			k.engine.SignOfLife(k.now(), e.Access)
			return
		}
		if err != nil {
			k.t.Error(err)
		}
		g.heard = time.Now()
		k.engine.Put(k.now(), caller, []watch.Sample{{Namespace: "system/linux", Metric: "Heartbeat", Alarm: g.name, Count: 1, Sum: 1, Min: 1, Max: 1}})
	}
}

// The server starts while Keystone is away, and so knows none of fifty guests
// that push. Nobody is restarted for that: not who has another key since, of
// which nothing is known at all, and not yet who has died. When Keystone is
// back, that one is, after the silence that is allowed.
func TestStartWithoutKeystoneRestartsNobodyWhoLives(t *testing.T) {
	clouds := filepath.Join(t.TempDir(), "clouds.yaml")
	const login = `{clouds: {service: {auth: {auth_url: "http://keystone.test/v3", username: u, password: p, user_domain_id: d, project_name: s, project_domain_id: d}}}}`
	if err := os.WriteFile(clouds, []byte(login), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OS_CLIENT_CONFIG_FILE", clouds)
	in(t, func(t *testing.T, c *cloud) {
		k := &verified{cloud: c, keys: map[string]string{}}
		for i := range 50 {
			c.add(fmt.Sprintf("p%02d", i), 1)
			c.guests[i].next = time.Now().Add(time.Duration(i) * time.Second)
		}
		k.verify()
		c.pass(5 * time.Minute)
		c.wantStates("when all are known", map[watch.State]int{watch.OK: 50})

		c.stop()
		k.end()
		k.away.Store(true)
		dead := c.guests[7]
		c.each([]*guest{dead}, func(g *guest) { g.up = false })
		k.keys["p11"], k.keys["p12"] = "A", "B"
		c.serve()
		k.verify()
		defer func() { k.end() }()
		c.pass(20 * time.Minute)
		c.wantRestarts("while Keystone is away")
		c.wantStates("while Keystone is away", map[watch.State]int{watch.OK: 50})

		k.away.Store(false)
		back := time.Now()
		c.pass(2 * time.Minute)
		c.wantRestarts("less than the silence allowed after it is back")
		c.pass(3 * time.Minute)
		c.wantRestarts("when Keystone is back", dead.name)
		if len(c.restarts) == 1 {
			if after := c.restarts[0].at.Sub(back); after < silence-10*time.Second || after > silence+10*time.Second {
				t.Errorf("it is restarted %s after Keystone is back, want about %s", after, silence)
			}
		}
	})
}
