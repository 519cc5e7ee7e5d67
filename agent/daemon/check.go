package daemon

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/check"
	"github.com/cfn-agent/cfn-agent/agent/hup"
	"github.com/cfn-agent/cfn-agent/agent/stats"
)

// A condition is what is known of a service that is checked.
type condition struct {
	checked  bool
	passed   bool // at some time since it was failing last
	failing  bool
	since    time.Time // checked first, or failing or not
	failures int       // in a row, since the last restart
	err      error     // of the last check
	restarts []time.Duration
	left     bool // restarted too often: left alone until it passes
}

// A verdict is what follows from a check.
type verdict int

const (
	fine      verdict = iota // nothing is to be done
	recovered                // it passes again
	down                     // it is failing and was told of
	restart                  // it is failing and is to be restarted
	giveUp                   // it is failing and was restarted too often, just now
)

// judge takes the result of a check into account.
func (c *condition) judge(k Check, now Instant, err error) verdict {
	c.err = err
	if !c.checked {
		c.checked, c.since = true, now.Wall
	}
	if err == nil {
		was := c.failing
		if was {
			*c = condition{checked: true, since: now.Wall, restarts: c.restarts}
		}
		c.passed, c.failures = true, 0
		if !was {
			return fine
		}
		return recovered
	}
	if c.failures++; !c.failing && c.failures < k.Failures {
		return fine
	}
	if !c.failing {
		c.passed, c.failing, c.since = false, true, now.Wall
	}
	if k.Restart == "" || c.left || c.failures < k.Failures || unable(err) {
		return down
	}
	c.restarts = slices.DeleteFunc(c.restarts, func(at time.Duration) bool { return now.Up-at >= k.RestartWindow })
	if len(c.restarts) >= k.RestartLimit {
		c.left = true
		return giveUp
	}
	c.restarts, c.failures = append(c.restarts, now.Up), 0
	return restart
}

// unable says that the check could not be made, as when there is no file or
// process left for it: the service may be well.
func unable(err error) bool {
	e, ok := errors.AsType[*check.Error](err)
	return ok && e.Fault == check.Unable
}

// A watcher checks one service and does what is to be done about it.
type watcher struct {
	*Daemon
	config Check
	untold string // a result that the hooks are yet to be told; empty: none
	early  bool   // the next check comes at once: the service may still be on its way up

	mu    sync.Mutex // guards what follows
	roots *x509.CertPool
	state condition
}

// trust has checks from now on use these authorities.
func (w *watcher) trust(roots *x509.CertPool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.roots = roots
}

func (w *watcher) authorities() *x509.CertPool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.roots
}

// passes says that the service has answered, and is not failing since.
func (w *watcher) passes() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state.passed
}

func (w *watcher) run(ctx context.Context) {
	checker := check.Checker{System: w.system(), Roots: w.authorities()}
	err := checker.Check(ctx, w.config.Probe)
	early := w.early
	w.early = false
	if ctx.Err() != nil || early && err != nil {
		return
	}
	w.mu.Lock()
	was := w.state.failing
	v := w.state.judge(w.config, w.Now(), err)
	w.mu.Unlock()
	log := w.System.Log.With("name", w.config.Name)
	if w.state.failing && !was {
		log.Warn("check is failing: " + err.Error())
	}
	result := hup.Failed
	switch v {
	case recovered:
		log.Info("check passes again")
	case restart:
		result = w.restart(ctx)
	case giveUp:
		log.Error("service does not come back: it is left alone until its check passes",
			"service", w.config.Restart, "restarts", w.config.RestartLimit, "within", w.config.RestartWindow, "err", err)
	}
	if w.state.failing {
		w.down(ctx, result)
	}
	w.tellHooks(ctx)
}

// down reports that the service is failing, and notes it for the hooks.
func (w *watcher) down(ctx context.Context, result string) {
	if w.state.left {
		result = hup.Limit
	}
	if w.config.Report != "" {
		_ = w.gather(ctx, stats.Selection{Names: []string{stats.ServiceFailure}}, w.config.Report) // a constant
	}
	if w.config.Restart != "" {
		w.untold = result
	}
}

// tellHooks tells the hooks what became of the service, once they are free.
func (w *watcher) tellHooks(ctx context.Context) {
	if w.untold != "" && w.poller.tell(ctx, w.config.Restart, w.untold) {
		w.untold = ""
	}
}

func (w *watcher) restart(ctx context.Context) string {
	err := w.Restart(ctx, w.system(), w.config.Restart)
	switch {
	case err == nil:
		w.System.Log.Warn("service was restarted", "name", w.config.Name, "service", w.config.Restart)
		return hup.Started
	case ctx.Err() == nil:
		w.System.Log.Warn("service could not be restarted", "name", w.config.Name, "service", w.config.Restart, "err", err)
	}
	return hup.Failed
}
