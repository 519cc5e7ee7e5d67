package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/coreos/go-systemd/v22/daemon"
)

// current is the configuration that holds now.
type current struct {
	mu       sync.Mutex
	conf     *config
	replaced chan struct{} // closed when another holds
}

// config is what holds now; it never changes.
func (c *current) config() *config {
	conf, _ := c.latest()
	return conf
}

// latest is what holds now, with what is closed when that is over.
func (c *current) latest() (conf *config, replaced <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conf, c.replaced
}

func (c *current) replace(conf *config) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.replaced != nil {
		close(c.replaced)
	}
	c.conf, c.replaced = conf, make(chan struct{})
}

// fixed are keys that take a restart, beside "[server] log" and all of
// [keystone].
func (c *config) fixed() map[string]*string {
	return map[string]*string{
		"[server] listen": &c.server.listen, "[server] metrics": &c.server.metrics, "[server] admin": &c.server.admin,
		"[server] cert": &c.server.cert, "[server] key": &c.server.key, "[store] path": &c.store.path,
	}
}

// keep has c hold what takes a restart as it is in what runs, and names the
// keys and sections in which they differ.
func (c *config) keep(running *config) (restart []string) {
	runs := running.fixed()
	for name, value := range c.fixed() {
		if *value != *runs[name] {
			restart = append(restart, name)
			*value = *runs[name]
		}
	}
	if c.server.jsonLog != running.server.jsonLog {
		restart = append(restart, "[server] log")
	}
	if c.keystone != running.keystone {
		restart = append(restart, "[keystone]")
	}
	c.server.jsonLog, c.keystone = running.server.jsonLog, running.keystone
	slices.Sort(restart)
	return restart
}

// followSignals reads again what can be, on SIGHUP.
func (s *server) followSignals(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.hangups:
			notify(s.log, reloading())
			status := "STATUS=configuration read again"
			if err := s.reload(ctx); err != nil {
				line := strings.ReplaceAll(err.Error(), "\n", "; ")
				read := "not read again"
				if errors.Is(err, errInPart) {
					read = "read again but for some rules"
				}
				s.log.Error("configuration "+read, "err", line)
				status = "STATUS=configuration " + read + ": " + line
			}
			notify(s.log, status+"\n"+daemon.SdNotifyReady)
		}
	}
}

// errInPart is that the store ceased to take rules: all else holds, and those before.
var errInPart = errors.New("some rules may not hold yet, SIGHUP goes on with them")

// reload reads the configuration, the rules and the keys again. Nothing is
// taken over before all of it is known to be right.
func (s *server) reload(ctx context.Context) error {
	next, err := s.reread()
	if err != nil {
		return err
	}
	restart := next.keep(s.config())
	set, err := next.loadRules()
	if err != nil {
		return err
	}
	keys, err := next.openKeys(s.log)
	if err != nil {
		return err
	}
	settings, err := next.outboxSettings()
	if err != nil {
		return err
	}
	s.replace(next)
	s.verifier.UseFile(keys)
	s.handler.Limit(next.apiLimits())
	s.engine.Limit(next.engineLimits())
	if err := s.outbox.Set(ctx, settings); err != nil { // they hold all the same
		s.log.Warn("what is held is asked about later", "err", err)
	}
	if len(restart) > 0 {
		s.log.Warn("what has changed here takes a restart, and is as it was until then", "keys", strings.Join(restart, ", "))
	}
	// The last: its alarms may fire at once, and want what else is new.
	if err := applyRules(ctx, next, set, s.engine, s.log); err != nil {
		return fmt.Errorf("%w: %w", errInPart, err)
	}
	s.log.Info("read again: configuration, rules and keys", "path", next.path, "rules", len(set.Rules))
	return nil
}
