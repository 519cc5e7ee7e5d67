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

// revoking is a store in which something happens while its keys are read.
type revoking struct {
	*store.Store
	then func()
}

func (r *revoking) Keys(ctx context.Context) ([]store.Key, error) {
	list, err := r.Store.Keys(ctx)
	if then := r.then; then != nil {
		r.then = nil
		then()
	}
	return list, err
}

// issuedA are the keys of a store that has issued key A.
func issuedA(t *testing.T) (*revoking, *issuedKeys) {
	t.Helper()
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "state.db"), store.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	if err := st.PutKey(t.Context(), store.Key{Access: "A", Secret: "s", Project: "p", Role: watch.Member, Created: time.Now()}); err != nil {
		t.Fatal(err)
	}
	r := &revoking{Store: st}
	k := &issuedKeys{store: r}
	if err := k.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if key, err := k.find(t.Context(), "A"); err != nil || key == nil {
		t.Fatalf("find = %v, %v, want the key that was issued", key, err)
	}
	return r, k
}

func revokeA(t *testing.T, r *revoking, k *issuedKeys) {
	if err := r.RevokeKey(t.Context(), "A", time.Now()); err != nil {
		t.Error(err)
	}
	k.changed()
}

func TestKeyRevokedWhileKeysAreReadIsRefused(t *testing.T) {
	r, k := issuedA(t)
	r.then = func() { revokeA(t, r, k) }
	k.changed() // as when another key was issued
	if _, err := k.find(t.Context(), "A"); err != nil {
		t.Fatal(err)
	}
	if key, err := k.find(t.Context(), "A"); err != nil || key != nil {
		t.Errorf("find = %v, %v: the key that was revoked is in use", key, err)
	}
}

// Of two that read at once the one that began first may end last: what it read
// is old by then, and does not let the key in again.
func TestOlderReadingOfKeysIsNotTaken(t *testing.T) {
	r, k := issuedA(t)
	r.then = func() {
		revokeA(t, r, k)
		if key, err := k.find(t.Context(), "A"); err != nil || key != nil {
			t.Errorf("find = %v, %v, once it was revoked", key, err)
		}
	}
	k.changed() // as when another key was issued
	if key, err := k.find(t.Context(), "A"); err != nil || key != nil {
		t.Errorf("find = %v, %v: the key that was revoked is in use again", key, err)
	}
}
