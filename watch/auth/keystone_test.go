package auth

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Until Keystone has answered for the first time, the keys that only it knows
// are told to be not heard; not those that are known without it, and none after
// that, also when it goes away again.
func TestKeysThatNobodyCanTellAtTheStart(t *testing.T) {
	cloudsFile(t)
	for _, lookup := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			fake := &keystone{t: t, calls: map[string]int{}, absent: map[string]bool{}, forged: map[string]bool{}, away: true}
			k, err := OpenKeystone(KeystoneOptions{Lookup: lookup, Transport: fake, Cloud: map[bool]string{true: "reader", false: "service"}[lookup]})
			if err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			var told []string
			var down atomic.Bool // the store is
			v := New(Options{Keystone: k, Fed: func() []string { return []string{guestKey, "ISSUED", "gone"} },
				NotHeard: func(access string) {
					mu.Lock()
					defer mu.Unlock()
					told = append(told, access)
				},
				Issued: func(_ context.Context, access string) (*Key, error) {
					switch {
					case down.Load():
						return nil, errors.New("the store is down")
					case access == "ISSUED":
						return &Key{}, nil
					}
					return nil, nil
				}})
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			defer func() { cancel(); running.Wait() }()
			running.Go(func() { v.Run(ctx) })
			x := trial{t, fake, v, k, nil}
			check := func(when string, want ...string) {
				t.Helper()
				synctest.Wait() // who is told at this very instant
				mu.Lock()
				told = nil
				mu.Unlock()
				time.Sleep(tellEvery)
				synctest.Wait()
				mu.Lock()
				defer mu.Unlock()
				if !slices.Equal(told, want) {
					t.Errorf("lookup %t, %s: not heard are %q, want %q", lookup, when, told, want)
				}
			}
			if !lookup {
				check("when nobody has asked Keystone")
			}
			x.wants("a guest", guestKey, guestSecret, nobody, ServiceUnavailable)
			check("when Keystone does not answer", guestKey, "gone")
			down.Store(true)
			check("when the store does not answer either")
			down.Store(false)
			fake.set(func(k *keystone) { k.away = false })
			time.Sleep(time.Minute)
			x.wants("a guest", guestKey, guestSecret, guest, "")
			check("when Keystone answers")
			fake.set(func(k *keystone) { k.away = true })
			time.Sleep(time.Hour)
			x.push("nobody", "x")
			check("when Keystone is away again")
		})
	}
}
