package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

func TestLookup(t *testing.T) {
	try(t, true, func(x trial) {
		listed := x.count("")
		if want := 7; listed != want {
			x.Errorf("%d calls before the first push, want %d: a login and six listings", listed, want)
		}
		for range 100 {
			x.atOnce("a guest", guestKey, guestSecret, guest, "")
		}
		if got := x.count(""); got != listed {
			x.Errorf("%d calls for pushes with a known key, want none", got-listed)
		}
		x.wants("an ordinary user", memberKey, memberSecret, member, "")
		x.atOnce("an ordinary user, again", memberKey, memberSecret, member, "")
		if got, want := x.count("")-listed, 3; got != want {
			x.Errorf("%d calls for an ordinary user, want %d: user, project, roles", got, want)
		}
		x.atOnce("another secret", guestKey, "other", nobody, SignatureDoesNotMatch)
		x.wants("an unknown key", "nobody", "x", nobody, InvalidClientTokenID)
		before := x.count("")
		x.atOnce("an unknown key, again", "nobody", "x", nobody, InvalidClientTokenID)
		if got := x.count(""); got != before {
			x.Errorf("%d calls for a key that was just unknown, want none", got-before)
		}
		s := x.k.Status()
		if s.Keys != 2 || s.Away || !s.Lookup || s.Listed.IsZero() {
			x.Errorf("Status = %+v, want 2 keys", s)
		}
		if got := s.String(); !strings.HasPrefix(got, "2 keys are known, all read at ") {
			x.Errorf("Status says %q", got)
		}
		time.Sleep(31 * time.Second)
		x.wants("an unknown key, later", "nobody", "x", nobody, InvalidClientTokenID)
		if got := x.count("credential-unknown"); got != 2 {
			x.Errorf("read %d times, want 2: what is unknown is so for half a minute", got)
		}
	})
}

// What names mean is the domain's to say: anybody may call a project of theirs
// like that of a stack, and be its member.
func TestNamesMeanNothingInOtherDomains(t *testing.T) {
	const name = "ffffffffffffffffffffffffffffffff-11111111-2222-4333-8444-5555555"
	try(t, true, func(x trial) {
		x.replace("project-member", `"name": "demo"`, `"name": "`+name+`"`)
		x.wants("a project named as a stack's", memberKey, memberSecret, member, "")
	})
	try(t, true, func(x trial) {
		x.replace("roles-member", `"name": "member"`, `"name": "heat_stack_user"`)
		x.replace("roles-member", `"name": "heat_stack_owner"`, `"name": "heat_stack_user"`)
		x.replace("roles-member", `"name": "reader"`, `"name": "heat_stack_user"`)
		x.wants("a stack user of another domain", memberKey, memberSecret, nobody, AccessDenied)
	})
}

func TestRolesInLookup(t *testing.T) {
	for name, tt := range map[string]struct {
		edits [][3]string
		want  watch.Caller
		code  string
	}{
		"reader":     {[][3]string{{"roles-member", `"name": "member"`, `"name": "x"`}, {"roles-member", `"name": "heat_stack_owner"`, `"name": "x"`}}, watch.Caller{Access: memberKey, Project: owner, Role: watch.Reader}, ""},
		"none":       {[][3]string{{"roles-member", `"name": "member"`, `"name": "x"`}, {"roles-member", `"name": "heat_stack_owner"`, `"name": "x"`}, {"roles-member", `"name": "reader"`, `"name": "x"`}}, nobody, AccessDenied},
		"user off":   {[][3]string{{"user-member", `"enabled": true`, `"enabled": false`}}, nobody, AccessDenied},
		"tenant off": {[][3]string{{"project-member", `"enabled": true`, `"enabled": false`}}, nobody, AccessDenied},
	} {
		t.Run(name, func(t *testing.T) {
			try(t, true, func(x trial) {
				for _, e := range tt.edits {
					x.replace(e[0], e[1], e[2])
				}
				x.wants(name, memberKey, memberSecret, tt.want, tt.code)
			})
		})
	}
	try(t, true, func(x trial) {
		x.set(func(k *keystone) { k.absent["user-member"] = true })
		x.wants("a user who is gone", memberKey, memberSecret, nobody, AccessDenied)
	})
}

// A stack's user must be one in its project, and its project be one of a stack.
func TestStackUserNeedsItsRole(t *testing.T) {
	for name, edits := range map[string][][3]string{
		"no role in the project": {{"role_assignments", guestProject, "another"}, {"roles-guest", "heat_stack_user", "member"}},
		"no project of a stack":  {{"projects", owner + "-1111", owner + "_1111"}, {"project-guest", owner + "-1111", owner + "_1111"}},
		"user disabled":          {{"users", `"enabled": true`, `"enabled": false`}},
		"project disabled":       {{"projects", `"enabled": true`, `"enabled": false`}},
		"domain disabled":        {{"domains", `"enabled": true`, `"enabled": false`}},
	} {
		tryWith(t, KeystoneOptions{Lookup: true}, func(x trial) {
			for _, e := range edits {
				x.replace(e[0], e[1], e[2])
			}
			x.start()
			x.atOnce(name, guestKey, guestSecret, nobody, AccessDenied)
		})
	}
}

// Heat makes a user, its role and its key one after the other, and a listing
// may run meanwhile: what it lacks is looked at when the guest pushes.
func TestListingOfHalfAStack(t *testing.T) {
	tryWith(t, KeystoneOptions{Lookup: true}, func(x trial) {
		x.replace("role_assignments", guestProject, "another")
		x.start()
		x.atOnce("a guest whose role was not listed yet", guestKey, guestSecret, guest, "")
	})
}

// A user who is not to be found, or has no role yet, is looked at again soon.
func TestRefusalIsShort(t *testing.T) {
	try(t, true, func(x trial) {
		x.set(func(k *keystone) { k.absent["user-member"] = true })
		x.wants("a user who is not there", memberKey, memberSecret, nobody, AccessDenied)
		x.set(func(k *keystone) { k.absent["user-member"] = false })
		before := x.count("")
		for range 29 {
			time.Sleep(time.Second)
			x.atOnce("less than half a minute later", memberKey, memberSecret, nobody, AccessDenied)
		}
		if got := x.count("") - before; got != 0 {
			x.Errorf("%d calls, want none", got)
		}
		time.Sleep(2 * time.Second)
		x.atOnce("for the last time", memberKey, memberSecret, nobody, AccessDenied)
		time.Sleep(time.Second)
		x.atOnce("when it has been looked at", memberKey, memberSecret, member, "")
	})
}

func TestStackDomainByID(t *testing.T) {
	tryWith(t, KeystoneOptions{Lookup: true, StackDomain: "4beff4ae2b594c7c97526465e3204e86"}, func(x trial) {
		x.start()
		x.wants("a guest", guestKey, guestSecret, guest, "")
	})
	tryWith(t, KeystoneOptions{Lookup: true, StackDomain: "other"}, func(x trial) {
		x.start()
		x.wants("a guest of a domain that is not that of stacks", guestKey, guestSecret, nobody, AccessDenied)
	})
}

// A key that comes between two listings is read by itself.
func TestNewKey(t *testing.T) {
	tryWith(t, KeystoneOptions{Lookup: true}, func(x trial) {
		x.replace("credentials", credentialID(guestKey), "x")
		x.start()
		before := x.count("")
		x.wants("a new guest", guestKey, guestSecret, guest, "")
		x.atOnce("a new guest, again", guestKey, guestSecret, guest, "")
		if got, want := x.count("")-before, 4; got != want {
			x.Errorf("%d calls for a new key, want %d: credential, user, project, roles", got, want)
		}
	})
}

// A user may write another's access key into a credential of theirs. Keystone
// finds credentials by the hash of the key, so that one is nobody's.
func TestAccessKeyOfAnother(t *testing.T) {
	tryWith(t, KeystoneOptions{Lookup: true}, func(x trial) {
		x.replace("credentials", `\"access\": \"`+memberKey+`\"`, `\"access\": \"`+guestKey+`\"`)
		x.replace("credential-member", `\"access\": \"`+memberKey+`\"`, `\"access\": \"`+guestKey+`\"`)
		x.start()
		x.wants("the guest", guestKey, guestSecret, guest, "")
		x.wants("the thief", guestKey, memberSecret, nobody, SignatureDoesNotMatch)
		x.wants("the thief's own key", memberKey, memberSecret, nobody, InvalidClientTokenID)
	})
}

// What acts for another may do what Keystone says each time.
func TestDelegatedKeyIsShown(t *testing.T) {
	for _, kind := range []string{"trust_id", "app_cred_id", "access_token_id"} {
		tryWith(t, KeystoneOptions{Lookup: true}, func(x trial) {
			x.replace("credentials", `\"trust_id\": null`, `\"`+kind+`\": \"1\"`)
			x.start()
			for n := range 3 {
				x.wants(kind, memberKey, memberSecret, member, "")
				if got := x.count("ec2tokens-member"); got != n+1 {
					x.Errorf("%s: shown %d times, want %d", kind, got, n+1)
				}
			}
		})
	}
}

// For an hour Keystone does not answer, or takes half a minute to: guests
// whose keys are known go on and wait for nothing, others cannot be verified,
// and the operator is told.
func TestKeystoneAway(t *testing.T) {
	for name, tt := range map[string]struct {
		fault func(*keystone)
		told  []string // one of them
	}{
		"gone": {func(k *keystone) { k.away = true }, []string{"; it does not answer now"}},
		// A listing waits for it, a push for 25 s at most: it is any of these, by who asked last.
		"slow": {func(k *keystone) { k.delay = 30 * time.Second }, []string{
			"; it is slow, its last call took 30s: ", "; it is slow, its last call took 25s: ", "; it does not answer now"}},
		"its token is gone": {func(k *keystone) { k.away, k.token = true, 99 }, []string{"; it does not answer now"}},
	} {
		t.Run(name, func(t *testing.T) {
			try(t, true, func(x trial) {
				told := func() string {
					said := x.k.Status().String()
					for _, text := range tt.told {
						if strings.Contains(said, text) {
							return text
						}
					}
					x.Errorf("Status says %q, want one of %q in it", said, tt.told)
					return ""
				}
				x.wants("an ordinary user", memberKey, memberSecret, member, "")
				if said := x.k.Status().String(); strings.Contains(said, "; it ") {
					x.Errorf("Status of a Keystone that answers: %q", said)
				}
				x.set(tt.fault)
				calls, waited := x.k.Load.Calls.Load(), x.k.Load.Waited.Load()
				seen := map[string]bool{}
				for minute := range 60 {
					time.Sleep(time.Minute)
					x.atOnce("a guest", guestKey, guestSecret, guest, "")
					x.atOnce("an ordinary user", memberKey, memberSecret, member, "")
					if minute >= 5 { // a listing has begun
						seen[told()] = true
					}
				}
				if !seen[tt.told[0]] {
					x.Errorf("Status never says %q", tt.told[0])
				}
				calls, waited = x.k.Load.Calls.Load()-calls, x.k.Load.Waited.Load()-waited
				if mean := time.Duration(waited / calls); name == "slow" && mean < 20*time.Second {
					x.Errorf("a call took %v in the mean, want about half a minute", mean)
				}
				began := time.Now()
				_, err := x.push("nobody", "x")
				e, ok := errors.AsType[*Error](err)
				if !ok || e.Status != 503 || e.RetryAfter <= 0 || e.Access != "nobody" {
					x.Errorf("an unknown key: %+v, want 503 with Retry-After", err)
				}
				if waited := time.Since(began); waited > 25*time.Second {
					x.Errorf("an unknown key waited %v, want at most 25 s", waited)
				}
				told()
				x.atOnce("a guest", guestKey, guestSecret, guest, "")
				told() // a key that is known is no answer of Keystone
				x.set(func(k *keystone) { k.away, k.delay = false, 0 })
				time.Sleep(time.Minute)
				x.atOnce("a guest, after", guestKey, guestSecret, guest, "")
				x.wants("an unknown key, after", "nobody", "x", nobody, InvalidClientTokenID)
				if said := x.k.Status().String(); strings.Contains(said, "; it ") {
					x.Errorf("Status says %q, and Keystone answers again", said)
				}
			})
		})
	}
}

// A key that is known is looked at again after the cache time; who comes then
// waits for that a moment, and not for as long as Keystone takes.
func TestKnownKeyWaitsAMoment(t *testing.T) {
	try(t, true, func(x trial) {
		x.wants("an ordinary user", memberKey, memberSecret, member, "")
		x.set(func(k *keystone) { k.delay = 5 * time.Second })
		time.Sleep(20 * time.Minute)
		began := time.Now()
		x.wants("an ordinary user, long after", memberKey, memberSecret, member, "")
		if waited := time.Since(began); waited != knownWaits {
			x.Errorf("waited %v, want %v", waited, knownWaits)
		}
		time.Sleep(time.Minute)
		x.atOnce("an ordinary user who was looked at meanwhile", memberKey, memberSecret, member, "")
	})
}

func TestStale(t *testing.T) {
	try(t, true, func(x trial) {
		x.set(func(k *keystone) { k.away = true })
		for range 23 * 60 {
			time.Sleep(time.Minute)
			x.atOnce("less than a day old", guestKey, guestSecret, guest, "")
		}
		time.Sleep(61 * time.Minute)
		x.wants("more than a day old", guestKey, guestSecret, nobody, ServiceUnavailable)
		x.set(func(k *keystone) { k.away = false })
		time.Sleep(time.Minute)
		x.wants("when Keystone is back", guestKey, guestSecret, guest, "")
	})
}

// Whatever ends a key's use in Keystone ends it here after the cache time at
// the latest, used often or seldom.
func TestRevokedKeyIsRefusedAfterTheCacheTime(t *testing.T) {
	const cache = 5 * time.Minute
	for name, tt := range map[string]struct {
		access, secret string
		caller         watch.Caller
		revoke         func(trial)
		code           string
	}{
		"guest, deleted": {guestKey, guestSecret, guest, func(x trial) {
			x.replace("credentials", credentialID(guestKey), "x")
			x.set(func(k *keystone) { k.absent["credential-guest"] = true })
		}, InvalidClientTokenID},
		"guest, disabled": {guestKey, guestSecret, guest, func(x trial) { x.replace("users", `"enabled": true`, `"enabled": false`) }, AccessDenied},
		"user, deleted": {memberKey, memberSecret, member, func(x trial) {
			x.replace("credentials", credentialID(memberKey), "x")
			x.set(func(k *keystone) { k.absent["credential-member"] = true })
		}, InvalidClientTokenID},
		"user, disabled": {memberKey, memberSecret, member, func(x trial) { x.replace("user-member", `"enabled": true`, `"enabled": false`) }, AccessDenied},
		"user, no role":  {memberKey, memberSecret, member, func(x trial) { x.replace("roles-member", `"role_assignments"`, `"none"`) }, AccessDenied},
	} {
		for _, every := range []time.Duration{10 * time.Second, 7 * time.Minute} {
			for _, age := range []time.Duration{0, 4 * time.Minute, 20 * time.Minute} {
				t.Run(fmt.Sprint(name, " every ", every, " after ", age), func(t *testing.T) {
					try(t, true, func(x trial) {
						x.wants("before", tt.access, tt.secret, tt.caller, "")
						for end := time.Now().Add(age); time.Now().Before(end); {
							time.Sleep(min(every, time.Until(end)))
							x.wants("before", tt.access, tt.secret, tt.caller, "")
						}
						tt.revoke(x)
						revoked := time.Now()
						for {
							_, err := x.push(tt.access, tt.secret)
							if code(err) == tt.code {
								break
							}
							if err != nil || time.Since(revoked) > cache {
								x.Fatalf("%v after it was revoked: Verify = %v, want code %s", time.Since(revoked), err, tt.code)
							}
							time.Sleep(every)
						}
						x.wants("afterwards", tt.access, tt.secret, nobody, tt.code)
					})
				})
			}
		}
	}
}

// A secret that was changed is read again when a signature does not match, but
// wrong signatures do not make Keystone read it again and again.
func TestMismatchReadsAgain(t *testing.T) {
	try(t, true, func(x trial) {
		time.Sleep(time.Minute)
		x.replace("credential-guest", guestSecret, "new")
		x.wants("the new secret", guestKey, "new", guest, "")
		x.wants("the old secret", guestKey, guestSecret, nobody, SignatureDoesNotMatch)
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			x.wants("a wrong secret", guestKey, "wrong", nobody, SignatureDoesNotMatch)
		}
		if got := x.count("credential-guest"); got > 4 {
			x.Errorf("the credential was read %d times in a minute of wrong signatures, want one each half minute", got)
		}
		time.Sleep(time.Minute)
		x.set(func(k *keystone) { k.away = true })
		x.wants("a wrong secret that cannot be read again", guestKey, "wrong", nobody, ServiceUnavailable)
		x.atOnce("the right one", guestKey, "new", guest, "")
	})
}

// Wrong signatures with a key that is known, as many as anybody likes, make
// Keystone read that key now and then, also where that fails, and keep no other
// key from being read again.
func TestWrongSignaturesAreReadAgainNowAndThen(t *testing.T) {
	try(t, true, func(x trial) {
		x.wants("to be known", memberKey, memberSecret, member, "")
		time.Sleep(time.Minute)
		x.replace("credential-guest", "{", "<") // which cannot be read
		x.replace("credential-member", memberSecret, "new")
		x.set(func(k *keystone) { k.delay = time.Second })
		ctx, stop := context.WithCancel(x.Context())
		var flood sync.WaitGroup
		flood.Go(func() {
			for ctx.Err() == nil {
				time.Sleep(10 * time.Millisecond)
				flood.Go(func() { x.push(guestKey, "wrong") })
			}
		})
		time.Sleep(10 * time.Second)
		began := time.Now()
		x.wants("a secret that was changed", memberKey, "new", member, "")
		if waited := time.Since(began); waited > time.Second {
			x.Errorf("it waited %v, want a second, which is Keystone's", waited)
		}
		time.Sleep(time.Minute)
		stop()
		flood.Wait()
		if got := x.count("credential-guest"); got < 2 || got > 14 {
			x.Errorf("the key of wrong signatures was read %d times in 70 s, want now and then", got)
		}
	})
}

// A key whose credential is found to be none of EC2 any more is not known, and
// is not read again for each who says that it is theirs.
func TestCredentialOfAnotherKind(t *testing.T) {
	try(t, true, func(x trial) {
		time.Sleep(time.Minute)
		x.replace("credential-guest", `"type": "ec2"`, `"type": "cert"`)
		for range 20 {
			x.wants("a wrong secret", guestKey, "wrong", nobody, InvalidClientTokenID)
			time.Sleep(time.Second)
		}
		if got := x.count("credential-guest"); got != 1 {
			x.Errorf("it was read %d times, want once", got)
		}
	})
}

// A thousand keys that nobody knows are five calls a second; the rest is told
// to come later, and a listing comes sooner.
func TestUnknownKeysDoNotFloodKeystone(t *testing.T) {
	tryWith(t, KeystoneOptions{Lookup: true}, func(x trial) {
		x.replace("credentials", credentialID(guestKey), "x")
		x.start()
		began := time.Now()
		x.set(func(k *keystone) { k.at, k.edits = nil, nil })
		var all sync.WaitGroup
		var mu sync.Mutex
		codes := map[string]int{}
		for n := range 1000 {
			all.Go(func() {
				_, err := x.push(fmt.Sprint("nobody", n), "x")
				mu.Lock()
				defer mu.Unlock()
				codes[code(err)]++
			})
		}
		all.Wait()
		if waited := time.Since(began); waited > 6*time.Second {
			x.Errorf("they waited %v, want at most about 5 s", waited)
		}
		if codes[InvalidClientTokenID]+codes[ServiceUnavailable] != 1000 || codes[InvalidClientTokenID] < 20 || codes[InvalidClientTokenID] > 35 {
			x.Errorf("codes %v, want some 30 unknown and the rest to come later", codes)
		}
		if x.k.Load.Busy.Load() != int64(codes[ServiceUnavailable]) {
			x.Errorf("%d counted as too many, want %d", x.k.Load.Busy.Load(), codes[ServiceUnavailable])
		}
		time.Sleep(time.Second)
		x.atOnce("one more unknown key, a second after them", "another", "x", nobody, InvalidClientTokenID)
		time.Sleep(29 * time.Second)
		x.atOnce("a guest that the early listing found", guestKey, guestSecret, guest, "")
	})
}

// Before the first listing has ended a push waits for it, whose key it holds.
func TestFirstListing(t *testing.T) {
	tryWith(t, KeystoneOptions{Lookup: true}, func(x trial) {
		x.set(func(k *keystone) { k.delay = time.Second })
		x.start()
		x.wants("a guest, at once", guestKey, guestSecret, guest, "")
		if got := x.count("credential-guest"); got != 0 {
			x.Errorf("the credential was read by itself %d times, want 0", got)
		}
	})
	tryWith(t, KeystoneOptions{Lookup: true}, func(x trial) {
		x.set(func(k *keystone) { k.away = true })
		x.start()
		x.wants("Keystone away from the start", guestKey, guestSecret, nobody, ServiceUnavailable)
		x.set(func(k *keystone) { k.away = false })
		time.Sleep(20 * time.Second)
		x.wants("when it has come", guestKey, guestSecret, guest, "")
	})
}

// Newer Keystones give listings in pages, and link to the next at an address
// of their own.
func TestListingInPages(t *testing.T) {
	tryWith(t, KeystoneOptions{Lookup: true}, func(x trial) {
		x.replace("credentials", credentialID(guestKey), "x")
		x.replace("credentials", `"next": null`, `"next": "http://other.test/identity/v3/credentials?type=ec2&marker=1"`)
		x.start()
		x.atOnce("a guest of the second page", guestKey, guestSecret, guest, "")
		if got := x.count("credentials" + nextPage); got != 1 {
			x.Errorf("second page read %d times, want once", got)
		}
	})
}

// The listing of all goes on while one key is read, and neither undoes what
// the other found.
func TestListingAndSingleReading(t *testing.T) {
	tryWith(t, KeystoneOptions{Lookup: true}, func(x trial) {
		x.replace("credentials", credentialID(guestKey), "x")
		x.start()
		time.Sleep(4 * time.Minute)
		x.set(func(k *keystone) { k.delay = 10 * time.Second })
		time.Sleep(35 * time.Second) // in the listing that began after 4.5 minutes
		x.set(func(k *keystone) { k.delay = 0 })
		x.wants("a new guest", guestKey, guestSecret, guest, "")
		time.Sleep(time.Minute)
		x.atOnce("after the listing", guestKey, guestSecret, guest, "")
		if got := x.count("credential-guest"); got != 1 {
			x.Errorf("the credential was read by itself %d times, want once", got)
		}
	})
}

// Guests are looked at by listings alone. Those that take minutes are older
// than the cache time when the next one ends, and no guest waits for that.
func TestGuestsDoNotWaitForListings(t *testing.T) {
	try(t, true, func(x trial) {
		for range 120 {
			time.Sleep(10 * time.Second)
			x.atOnce("a guest", guestKey, guestSecret, guest, "")
		}
		if got := x.count("user-guest"); got != 0 {
			x.Errorf("its user was read by itself %d times, want 0", got)
		}
		x.set(func(k *keystone) { k.delay = 30 * time.Second })
		for range 120 {
			time.Sleep(10 * time.Second)
			x.atOnce("a guest", guestKey, guestSecret, guest, "")
		}
	})
}

// Where an ordinary user cannot be looked at any more, although the listings
// go on, that ends like all that is stale.
func TestUserWhoCannotBeLookedAt(t *testing.T) {
	try(t, true, func(x trial) {
		x.wants("before", memberKey, memberSecret, member, "")
		x.replace("user-member", "{", "<")
		for range 23 * 6 {
			time.Sleep(10 * time.Minute)
			x.wants("less than a day old", memberKey, memberSecret, member, "")
		}
		time.Sleep(61 * time.Minute)
		x.wants("more than a day old", memberKey, memberSecret, nobody, ServiceUnavailable)
	})
}

// Nothing is asked or remembered about what cannot be a key of Keystone.
func TestAccessKeyTooLong(t *testing.T) {
	for _, lookup := range []bool{true, false} {
		try(t, lookup, func(x trial) {
			before := x.count("")
			_, err := x.push(strings.Repeat("k", maxAccess+1), "x")
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Code != InvalidClientTokenID || e.Access != "" {
				x.Errorf("Verify = %+v, want %s and no key", err, InvalidClientTokenID)
			}
			if got := x.count("") - before; got != 0 {
				x.Errorf("%d calls, want none", got)
			}
		})
	}
}
