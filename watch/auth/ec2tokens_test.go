package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
)

// forge makes Keystone refuse the signature of a request.
func (x trial) forge(r *http.Request) {
	x.Helper()
	s, err := awsquery.ReadSignature(r, bodyOf(r))
	if err != nil {
		x.Fatal(err)
	}
	x.set(func(k *keystone) { k.forged[s.Text] = true })
}

func TestShown(t *testing.T) {
	try(t, false, func(x trial) {
		for n := range 3 {
			x.wants("a guest", guestKey, guestSecret, guest, "")
			x.wants("an ordinary user", memberKey, memberSecret, member, "")
			if got := x.count("ec2tokens-guest"); got != n+1 {
				x.Errorf("shown %d times, want %d: a yes is of one signature", got, n+1)
			}
			time.Sleep(time.Second)
		}
		x.wants("an unknown key", "nobody", "x", nobody, InvalidClientTokenID)
		before := x.count("")
		x.atOnce("an unknown key, again", "nobody", "x", nobody, InvalidClientTokenID)
		if got := x.count(""); got != before {
			x.Errorf("%d calls for a key that was just unknown, want none", got-before)
		}
		r := signed(t, guestKey, guestSecret, time.Now().Add(-16*time.Minute))
		if _, err := x.v.Verify(t.Context(), r, bodyOf(r), time.Now()); code(err) != RequestExpired || x.count("") != before {
			x.Errorf("an old request: %v, and %d calls, want %s and none", err, x.count("")-before, RequestExpired)
		}
	})
}

// What Keystone gets has all the keys it needs, and what is signed as it came.
func TestQuestion(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ask := func(r *http.Request) ec2Request {
		s, err := awsquery.ReadSignature(r, bodyOf(r))
		if err != nil {
			t.Fatal(err)
		}
		return question(r, s, bodyOf(r))
	}
	sum := func(b []byte) string { h := sha256.Sum256(b); return hex.EncodeToString(h[:]) }
	r := signed(t, guestKey, guestSecret, now)
	r.Header.Add("X-Two", "a")
	r.Header.Add("X-Two", "b")
	want := ec2Request{
		Access: guestKey, Host: "watch.test:8003", Verb: "POST", Path: "/v1/", Params: map[string]string{}, BodyHash: sum([]byte(push)),
		Headers: map[string]string{
			"Host": "watch.test:8003", "X-Amz-Date": "20260102T030405Z", "Content-Type": "application/x-www-form-urlencoded",
			"Authorization": r.Header.Get("Authorization"), "X-Two": "a,b", "Content-Length": fmt.Sprint(len(push)),
		},
		Signature: r.Header.Get("Authorization")[len(r.Header.Get("Authorization"))-64:],
	}
	if got := ask(r); fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("question of version 4:\n%+v\nwant\n%+v", got, want)
	}
	r = signedV2(t, guestKey, guestSecret, now)
	got := ask(r)
	if got.Params["Signature"] != "" || got.Params["Timestamp"] != "2026-01-02T03:04:05Z" || got.Params["Namespace"] != "system/linux" ||
		got.Verb != "GET" || got.BodyHash != sum(nil) || got.Signature != r.URL.Query().Get("Signature") {
		t.Errorf("question of version 2: %+v", got)
	}
}

// Keystone says the same of a wrong signature as of a token of ours that has
// ended: ours is renewed once, and no more than once a minute, whatever comes.
func TestAmbiguous401(t *testing.T) {
	try(t, false, func(x trial) {
		x.wants("a guest", guestKey, guestSecret, guest, "")
		time.Sleep(2 * time.Minute)
		x.set(func(k *keystone) { k.token = 99 }) // another than ours
		x.wants("a guest, with our token gone", guestKey, guestSecret, guest, "")
		if got := x.count("login-service"); got != 2 {
			x.Errorf("%d logins, want 2", got)
		}
		time.Sleep(2 * time.Minute)
		logins, asked := x.count("login-service"), x.count("ec2tokens-bad-signature")
		for n := range 600 {
			r := signed(x, guestKey, "wrong", time.Now())
			x.forge(r)
			if _, err := x.v.Verify(x.Context(), r, bodyOf(r), time.Now()); code(err) != AccessDenied {
				x.Fatalf("wrong signature %d: %v, want %s", n, err, AccessDenied)
			}
			time.Sleep(time.Second)
		}
		logins, asked = x.count("login-service")-logins, x.count("ec2tokens-bad-signature")-asked
		if logins < 1 || logins > 10 {
			x.Errorf("%d logins in ten minutes of wrong signatures, want 1 to 10", logins)
		}
		if asked != 600+logins {
			x.Errorf("shown %d times, want 600 and once again for each of %d logins", asked, logins)
		}
	})
}

func TestIdenticalRequestsShareAnAnswer(t *testing.T) {
	try(t, false, func(x trial) {
		x.set(func(k *keystone) { k.delay = time.Second })
		r := signed(x, guestKey, guestSecret, time.Now())
		var all sync.WaitGroup
		var replayed, first int
		var mu sync.Mutex
		for range 50 {
			all.Go(func() {
				p, err := x.v.Verify(x.Context(), r, bodyOf(r), time.Now())
				if err != nil || p.Caller != guest {
					x.Errorf("Verify = %+v, %v", p, err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if p.Replayed {
					replayed++
				} else {
					first++
				}
			})
		}
		all.Wait()
		if got := x.count("ec2tokens-guest"); got != 1 {
			x.Errorf("shown %d times, want once", got)
		}
		if first != 1 || replayed != 49 {
			x.Errorf("%d first, %d replayed, want one to count", first, replayed)
		}
	})
}

// No more than 16 are shown at once; nobody waits longer than 25 s, and no
// more wait than could be shown in that time.
func TestQueueForKeystone(t *testing.T) {
	try(t, false, func(x trial) {
		x.wants("to log in", guestKey, guestSecret, guest, "")
		x.set(func(k *keystone) { k.delay = 3 * time.Second })
		began := time.Now()
		codes := x.crowd(1000)
		if waited := time.Since(began); waited > 25*time.Second {
			x.Errorf("waited %v, want at most 25 s", waited)
		}
		x.set(func(k *keystone) {
			if k.most != 16 {
				x.Errorf("%d shown at once, want 16", k.most)
			}
		})
		if codes[""] != 8*16 || codes[""]+codes[ServiceUnavailable] != 1000 {
			x.Errorf("codes %v, want %d verified in 25 s, and the others to come later", codes, 8*16)
		}
		if got, want := x.k.Load.Busy.Load(), int64(1000-16*33); got != want {
			x.Errorf("%d turned away at once, want %d", got, want)
		}
		if got := x.k.Status().String(); !strings.Contains(got, "472 were turned away since the start, which is too much for it") {
			x.Errorf("Status says %q", got)
		}
	})
}

// Anybody can make up access keys, and as many as they like: a guest whose key
// was confirmed is asked about all the same, at once.
func TestStrangersDoNotKeepOutWhoIsKnown(t *testing.T) {
	try(t, false, func(x trial) {
		x.wants("to be known", guestKey, guestSecret, guest, "")
		x.set(func(k *keystone) { k.delay = time.Second })
		var flood sync.WaitGroup
		var unanswered atomic.Int64
		for i := range 3000 {
			flood.Go(func() {
				r := signed(x, fmt.Sprint("nobody", i), "x", time.Now())
				r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1000", i%100)
				if _, err := x.v.Verify(x.Context(), r, bodyOf(r), time.Now()); code(err) == ServiceUnavailable {
					unanswered.Add(1)
				}
			})
		}
		time.Sleep(500 * time.Millisecond)
		if got := unanswered.Load(); got != 3000-8*33 {
			x.Errorf("%d made up keys were turned away at once, want %d", got, 3000-8*33)
		}
		began := time.Now()
		x.wants("a guest in the flood", guestKey, guestSecret, guest, "")
		if waited := time.Since(began); waited != time.Second {
			x.Errorf("a known key waited %v, want a second, which is Keystone's", waited)
		}
		began = time.Now()
		if codes := x.crowd(16); codes[""] != 16 || time.Since(began) > 3*time.Second {
			x.Errorf("16 pushes of known keys: %v after %v, want all verified in two turns", codes, time.Since(began))
		}
		if got := x.k.Status(); got.Busy != 0 || got.Strangers != unanswered.Load() || !strings.Contains(got.String(), "2736 with keys not confirmed before were turned away") {
			x.Errorf("Status = %+v, %s", got, got)
		}
		flood.Wait()
	})
}

// Who has seen the access key of a guest can sign with it what is wrong, as much
// as they like. They filled the queue, and nobody was known any more.
func TestWrongSignaturesOfOneKeyDoNotKeepOutOthers(t *testing.T) {
	try(t, false, func(x trial) {
		x.wants("to be known", guestKey, guestSecret, guest, "")
		x.wants("to be known too", memberKey, memberSecret, member, "")
		x.set(func(k *keystone) { k.delay = time.Second })
		var flood sync.WaitGroup
		for i := range 1000 {
			r := signed(x, guestKey, fmt.Sprint("wrong", i), time.Now())
			x.forge(r)
			flood.Go(func() {
				_, err := x.v.Verify(x.Context(), r, bodyOf(r), time.Now())
				if got := code(err); got != AccessDenied && got != ServiceUnavailable {
					x.Errorf("a wrong signature: %v", err)
				}
			})
		}
		time.Sleep(500 * time.Millisecond)
		for range 5 {
			began := time.Now()
			x.wants("another in the flood", memberKey, memberSecret, member, "")
			if waited := time.Since(began); waited > 2*time.Second {
				x.Errorf("another key waited %v, want two turns of a second at most", waited)
			}
		}
		flood.Wait()
	})
}

// One address makes up keys until its rate is used up: others are still asked
// about.
func TestStrangersOfOneAddressLeaveRoomForOthers(t *testing.T) {
	try(t, false, func(x trial) {
		x.wants("to log in", memberKey, memberSecret, member, "")
		stranger := func(from, access string) string {
			r := signed(x, access, guestSecret, time.Now())
			r.RemoteAddr = from + ":1000"
			_, err := x.v.Verify(x.Context(), r, bodyOf(r), time.Now())
			return code(err)
		}
		for i := range strangersAtOnce {
			if got := stranger("192.0.2.1", fmt.Sprint("nobody", i)); got != InvalidClientTokenID {
				x.Fatalf("made up key %d: %s", i, got)
			}
		}
		for from, want := range map[string]string{"192.0.2.1": ServiceUnavailable, "192.0.2.2": InvalidClientTokenID, "2001:db8::1": InvalidClientTokenID} {
			if strings.Contains(from, ":") {
				from = "[" + from + "]"
			}
			if got := stranger(from, "another"+from); got != want {
				x.Errorf("a made up key from %s: %s, want %s", from, got, want)
			}
		}
		time.Sleep(time.Second)
		if got := stranger("192.0.2.1", guestKey); got != "" {
			x.Errorf("a new guest at the same address, later: %s", got)
		}
	})
}

// crowd verifies different pushes of guests at once and counts the codes.
func (x trial) crowd(n int) map[string]int {
	var all sync.WaitGroup
	var mu sync.Mutex
	codes := map[string]int{}
	for i := range n {
		all.Go(func() {
			r := signed(x, guestKey, guestSecret, time.Now())
			r.Header.Set("X-Number", fmt.Sprint(i))
			_, err := x.v.Verify(x.Context(), r, bodyOf(r), time.Now())
			mu.Lock()
			defer mu.Unlock()
			codes[code(err)]++
		})
	}
	all.Wait()
	return codes
}

// A Keystone that does not answer, or to which our login means nothing, lets
// nobody in and refuses nobody.
func TestShownInVain(t *testing.T) {
	for name, fault := range map[string]func(trial){
		"gone":                     func(x trial) { x.set(func(k *keystone) { k.away = true }) },
		"slow":                     func(x trial) { x.set(func(k *keystone) { k.delay = 30 * time.Second }) },
		"an answer without domain": func(x trial) { x.replace("ec2tokens-guest", `"domain"`, `"other"`) },
		"no error document":        func(x trial) { x.forgeAll(); x.replace("ec2tokens-bad-signature", "{", "<") },
	} {
		try(t, false, func(x trial) {
			x.wants("before", guestKey, guestSecret, guest, "")
			fault(x)
			time.Sleep(time.Hour)
			x.wants(name, guestKey, guestSecret, nobody, ServiceUnavailable)
			synctest.Wait()
			if away := x.k.Status().Away; away == (name == "an answer without domain") {
				x.Errorf("%s: Status.Away = %v", name, away)
			}
		})
	}
}

// forgeAll makes Keystone refuse whatever is signed in the next two hours.
func (x trial) forgeAll() {
	for at := time.Now(); at.Before(time.Now().Add(2 * time.Hour)); at = at.Add(time.Second) {
		x.forge(signed(x, guestKey, guestSecret, at))
	}
}

// When a login fails those who wait are told so; each does not try again.
func TestLoginThatFails(t *testing.T) {
	try(t, false, func(x trial) {
		x.set(func(k *keystone) { k.delay = 30 * time.Second })
		began := time.Now()
		if codes := x.crowd(100); codes[ServiceUnavailable] != 100 {
			x.Errorf("codes %v, want all to come later", codes)
		}
		if waited := time.Since(began); waited > 25*time.Second {
			x.Errorf("waited %v, want at most 25 s", waited)
		}
		if calls := x.k.Load.Calls.Load(); calls > 3 {
			x.Errorf("%d logins tried in 25 s, want one each 15 s", calls)
		}
	})
}

func TestOpenKeystoneNeedsItsCloud(t *testing.T) {
	cloudsFile(t)
	if _, err := OpenKeystone(KeystoneOptions{Cloud: "other"}); err == nil {
		t.Error("a cloud that clouds.yaml does not have: no error")
	}
}
