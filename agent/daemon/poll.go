package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/hup"
	"github.com/cfn-agent/cfn-agent/agent/stats"
	"github.com/cfn-agent/cfn-agent/hooks"
)

// servicesInterval is how often services of the metadata are looked at
// between polls.
const servicesInterval = time.Minute

// A poller makes the passes of cfn-hup, one at a time.
type poller struct {
	*Daemon
	passing chan struct{} // holds a value while a pass is made
	backOff hup.BackOff   // of the pass
	memory  hup.Memory    // of the passes

	mu                sync.Mutex // guards what follows
	config            Config
	forget            bool // what keeps Heat from being asked
	known             map[string]*resource
	ahead             *time.Duration // of Heat's clock; nil: not known
	problems, missing []string       // of the files that were read last
	unseen            []string       // of the last pass: services that could not be looked at
}

// A resource is what Heat has told of one.
type resource struct {
	last  hup.Resource
	told  bool // last is of Heat
	when  time.Time
	from  string
	hash  string
	err   error // since then Heat did not tell
	asked time.Time
}

func newPoller(d *Daemon) *poller {
	return &poller{Daemon: d, passing: make(chan struct{}, 1), known: map[string]*resource{}}
}

// use has passes from now on use a configuration.
func (p *poller) use(c Config) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.config = c
}

// again has the next poll ask for everything.
func (p *poller) again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget = true
}

// load reads what cfn-hup reads. What is wrong with it is said when it is new.
func (p *poller) load(config Config) (hooks.Config, error) {
	c, err := hooks.LoadWith(hooks.Find(p.System.Root, ""), config.Main)
	if errors.Is(err, hooks.ErrNoHooks) {
		err = nil
	}
	var problems, missing []string
	for _, problem := range c.Problems {
		problems = append(problems, problem.Error())
	}
	switch {
	case errors.Is(err, hooks.ErrNoStack):
		missing = []string{"the metadata is not polled: " + err.Error()}
	case err != nil:
		problems = append(problems, "the metadata is not polled: "+err.Error())
	case config.Resource == "" && len(c.Hooks) == 0:
		missing = []string{"the metadata is not polled: write resource = ID to [main] of " + stats.AgentConfig + ", or a hook that names one"}
	}
	p.mu.Lock()
	if err == nil || errors.Is(err, hooks.ErrNoStack) {
		ids := hooks.Resources(c.Hooks)
		maps.DeleteFunc(p.known, func(id string, _ *resource) bool { return id != config.Resource && !slices.Contains(ids, id) })
	}
	fresh := !slices.Equal(p.problems, problems) || !slices.Equal(p.missing, missing)
	p.problems, p.missing = problems, missing
	p.mu.Unlock()
	if fresh {
		for _, line := range append(problems, missing...) {
			p.System.Log.Error(line)
		}
	}
	return c, err
}

// interval is the time between two polls. What is wrong is said by load.
func (p *poller) interval(config Config) time.Duration {
	c, _ := p.load(config)
	if c.Interval == 0 {
		return hooks.DefaultInterval
	}
	return c.Interval
}

// A pass is one of cfn-hup with the configuration that it has.
type pass struct {
	hup.Pass
	config  Config
	err     error // without which Heat could be asked
	release func()
}

// begin is a pass with what the files say now. While another one is being made
// it is nil, or is waited for.
func (p *poller) begin(ctx context.Context, waiting bool) *pass {
	select {
	case p.passing <- struct{}{}:
	default:
		if !waiting {
			return nil
		}
		select {
		case p.passing <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
	}
	p.mu.Lock()
	config := p.config
	if p.forget {
		p.forget = false
		p.backOff.Reset()
	}
	p.mu.Unlock()
	c, err := p.load(config)
	output, flush := p.Output()
	return &pass{
		Pass: hup.Pass{
			Config: c, System: p.system(), Cache: p.Cache, Resource: config.Resource, Output: output, Hide: p.Mask, Memory: &p.memory,
			Except: config.restarted(),
		},
		config: config, err: err, release: func() { flush(); <-p.passing },
	}
}

// restarted are the services that checks restart.
func (c Config) restarted() []string {
	var names []string
	for _, k := range c.Checks {
		if k.Restart != "" {
			names = append(names, k.Restart)
		}
	}
	return names
}

// poll asks Heat, and runs the hooks whose values have changed.
func (p *poller) poll(ctx context.Context) {
	pass := p.begin(ctx, true)
	if pass == nil {
		return
	}
	defer pass.release()
	if pass.err != nil { // without a stack there is nothing to ask for
		return
	}
	p.pace(pass.Config.Interval)
	heat := p.Heat(pass.config, pass.Config)
	defer heat.Close()
	pass.Describe = p.remember(p.backOff.Describe(heat.Describe, pass.Config.Interval), heat.From)
	p.looked(ctx, pass.Run(ctx))
	if ahead, ok := heat.Ahead(); ok {
		p.mu.Lock()
		p.ahead = &ahead
		p.mu.Unlock()
	}
}

// pace has polls come at an interval: cfn-hup.conf is read at each, and may have
// been written since the daemon began.
func (p *poller) pace(interval time.Duration) {
	p.scheduler.call(func() {
		fresh := p.task(pollTask, interval, p.Daemon.config.key(), p.poll, p)
		list := slices.Clone(p.scheduler.tasks)
		for i, t := range list {
			if t.name == pollTask && t.key != fresh.key {
				list[i] = fresh
				p.scheduler.replace(list)
			}
		}
	})
}

// services looks at the services of the metadata.
func (p *poller) services(ctx context.Context) {
	pass := p.begin(ctx, false)
	if pass == nil {
		return // a pass looks at them too
	}
	defer pass.release()
	p.looked(ctx, pass.Services(ctx))
}

// tell runs the hooks for a service that was found down. It is false when
// that must be tried again, since a pass is being made.
func (p *poller) tell(ctx context.Context, service, result string) bool {
	pass := p.begin(ctx, false)
	if pass == nil {
		return false
	}
	defer pass.release()
	err := pass.Tell(ctx, strings.TrimSuffix(service, ".service"), result)
	p.conclude(ctx, err)
	return !errors.Is(err, hup.ErrBusy) && ctx.Err() == nil
}

// looked is conclude for a pass that has looked at services.
func (p *poller) looked(ctx context.Context, err error) {
	if ctx.Err() == nil && !errors.Is(err, hup.ErrBusy) {
		var unseen []string
		if all, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range all.Unwrap() {
				if errors.Is(e, hup.ErrLook) {
					unseen = append(unseen, oneLine(p.Mask(e.Error())))
				}
			}
		}
		p.mu.Lock()
		p.unseen = unseen
		p.mu.Unlock()
	}
	p.conclude(ctx, err)
}

func (p *poller) conclude(ctx context.Context, err error) {
	switch {
	case err == nil || ctx.Err() != nil:
	case errors.Is(err, hup.ErrBusy):
		p.System.Log.Info("skipped: another pass is running")
	default:
		for line := range strings.Lines(err.Error()) {
			p.System.Log.Error(strings.TrimSpace(line))
		}
	}
}

// remember is describe where what Heat told last stands in for what it does
// not tell, so that hooks go on.
func (p *poller) remember(describe hup.Describe, from string) hup.Describe {
	return func(ctx context.Context, id string) (hup.Resource, error) {
		r, err := describe(ctx, id)
		p.mu.Lock()
		defer p.mu.Unlock()
		k := p.known[id]
		if k == nil {
			k = &resource{}
			p.known[id] = k
		}
		now := time.Now()
		if err == nil {
			if k.err != nil {
				p.System.Log.Info("Heat tells of the resource again", "resource", id)
			}
			sum := sha256.Sum256(r.Metadata.Bytes())
			*k = resource{last: r, told: true, when: now, from: from, hash: hex.EncodeToString(sum[:]), asked: now}
			return r, nil
		}
		if errors.Is(err, hup.ErrNotAsked) {
			if k.told {
				return k.last, nil
			}
			return r, err
		}
		if ctx.Err() != nil {
			return r, err
		}
		fresh := k.err == nil || k.err.Error() != err.Error()
		k.err, k.asked = err, now
		if !k.told {
			return r, err
		}
		if fresh {
			p.System.Log.Warn("what was known is gone on with: "+err.Error(), "resource", id)
		}
		return k.last, nil
	}
}

// said is what was said last, so that it is said once.
type said string

func (s *said) isNew(lines []string) bool {
	text := strings.Join(slices.Clone(lines), "\n")
	if text == string(*s) {
		return false
	}
	*s = said(text)
	return true
}
