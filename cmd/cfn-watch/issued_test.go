package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/store"
)

// revoking is a store in which a key is revoked while its keys are read.
type revoking struct {
	*store.Store
	then func()
}

func (r *revoking) Keys(ctx context.Context) ([]store.Key, error) {
	list, err := r.Store.Keys(ctx)
	if r.then != nil {
		r.then()
		r.then = nil
	}
	return list, err
}

func TestKeyRevokedWhileKeysAreReadIsRefused(t *testing.T) {
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "state.db"), store.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := st.PutKey(t.Context(), store.Key{Access: "A", Secret: "s", Project: "p", Role: watch.Member, Created: time.Now()}); err != nil {
		t.Fatal(err)
	}
	r := &revoking{Store: st}
	k := &issuedKeys{store: r}
	if err := k.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.then = func() {
		if err := st.RevokeKey(t.Context(), "A", time.Now()); err != nil {
			t.Error(err)
		}
		k.changed()
	}
	k.changed() // as when another key was issued
	if _, err := k.find(t.Context(), "A"); err != nil {
		t.Fatal(err)
	}
	if key, err := k.find(t.Context(), "A"); err != nil || key != nil {
		t.Errorf("find = %v, %v: the key that was revoked is in use", key, err)
	}
}
