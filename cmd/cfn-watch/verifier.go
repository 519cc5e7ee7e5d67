package main

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/auth"
)

// newVerifier makes what tells who calls, from the sources of keys that the
// configuration has, for an engine. The Keystone is nil where there is none.
func newVerifier(c *config, issued *issuedKeys, engine *watch.Engine, log *slog.Logger) (*auth.Verifier, *auth.Keystone, error) {
	o := auth.Options{Issued: issued.find, Log: log, Fed: engine.Keys, NotHeard: func(access string) { engine.SignOfLife(time.Now(), access) }}
	var err error
	if o.File, err = c.openKeys(log); err != nil {
		return nil, nil, err
	}
	if o.Keystone, err = c.openKeystone(log); err != nil {
		return nil, nil, err
	}
	return auth.New(o), o.Keystone, nil
}

// openKeys reads the key file; nil: there is none.
func (c *config) openKeys(log *slog.Logger) (*auth.KeyFile, error) {
	if c.keys.file == "" {
		return nil, nil
	}
	return auth.OpenKeyFile(c.keys.file, log)
}

// openKeystone reads how to log in at Keystone, which is not asked; nil: none is
// configured.
func (c *config) openKeystone(log *slog.Logger) (*auth.Keystone, error) {
	k := c.keystone
	if k.cloud == "" {
		return nil, nil
	}
	opened, err := auth.OpenKeystone(auth.KeystoneOptions{
		Cloud: k.cloud, Lookup: k.lookup, Cache: k.cache, Stale: k.stale,
		Concurrency: k.concurrency, StackDomain: k.stackDomain, Log: log,
	})
	if err != nil {
		return nil, fmt.Errorf("[keystone] %w", err)
	}
	return opened, nil
}
