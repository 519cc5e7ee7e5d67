package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/auth"
	"github.com/cfn-agent/cfn-agent/watch/store"
)

// issuedKeys are the keys that the server issued, in memory: a push does not
// wait for the disk.
type issuedKeys struct {
	store interface {
		Keys(context.Context) ([]store.Key, error)
	}

	mu      sync.RWMutex
	keys    map[string]*auth.Key
	self    *auth.Key // of the self-test; nil: none
	changes int       // of what the store has
	loaded  int       // changes that keys has
}

// load reads all keys. A key that is as it was keeps what was derived of it.
func (k *issuedKeys) load(ctx context.Context) error {
	k.mu.RLock()
	changes := k.changes // one that comes while the store is read may be in list or not
	k.mu.RUnlock()
	list, err := k.store.Keys(ctx)
	if err != nil {
		return err
	}
	keys := make(map[string]*auth.Key, len(list))
	k.mu.Lock()
	defer k.mu.Unlock()
	if changes < k.loaded {
		return nil // another has read later
	}
	for _, s := range list {
		if !s.Revoked.IsZero() {
			continue
		}
		if keys[s.Access] = k.keys[s.Access]; keys[s.Access] == nil {
			keys[s.Access] = &auth.Key{
				Caller:  watch.Caller{Access: s.Access, Project: s.Project, Stack: s.Stack, Role: s.Role},
				Checker: awsquery.Checker{Secret: s.Secret}, Expires: s.Expires,
			}
		}
	}
	k.keys, k.loaded = keys, changes
	return nil
}

// changed says that keys were issued or revoked.
func (k *issuedKeys) changed() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.changes++
}

// own makes a key of the server's known, which is in no store.
func (k *issuedKeys) own(c awsquery.Credentials) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.self = &auth.Key{
		Caller:  watch.Caller{Access: c.AccessKey, Role: watch.Guest},
		Checker: awsquery.Checker{Secret: c.SecretKey},
	}
}

// find is auth.Options.Issued. Keys that were revoked are never used again,
// not even when the store cannot be read.
func (k *issuedKeys) find(ctx context.Context, access string) (*auth.Key, error) {
	k.mu.RLock()
	key, stale, self := k.keys[access], k.loaded != k.changes, k.self
	k.mu.RUnlock()
	if self != nil && self.Access == access {
		return self, nil
	}
	if !stale {
		return key, nil
	}
	if err := k.load(ctx); err != nil {
		return nil, err
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.keys[access], nil
}

// readSecret reads a file that holds one secret and nothing else.
func readSecret(path string) (awsquery.Secret, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s is readable by others: chmod 600 it", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(data))
	if secret == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return awsquery.Secret(secret), nil
}
