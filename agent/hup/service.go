package hup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/cfn-agent/cfn-agent/agent"
	"github.com/cfn-agent/cfn-agent/agent/lock"
	"github.com/cfn-agent/cfn-agent/agent/services"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/hooks"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// How often a service that does not stay up is started within any such time. It
// is never given up: what it needs may come back.
const (
	startLimit  = 3
	startWindow = 10 * time.Minute
)

// Results of a service that was found down, as CFN_SERVICE_RESULT tells them.
const (
	Started = "started"
	Failed  = "failed"
	Limit   = "limit"
)

// ErrLook says that it is not known whether a service runs.
var ErrLook = errors.New("look at service")

// A supervisor says whether services run, and starts them.
type supervisor struct {
	running func(ctx context.Context, s *sys.System, manager, name string) (bool, error)
	start   func(ctx context.Context, s *sys.System, manager, name string) error
}

func (p *Pass) supervisor() supervisor {
	if p.service.running == nil {
		return supervisor{services.Running, startService}
	}
	return p.service
}

func startService(ctx context.Context, s *sys.System, manager, name string) error {
	yes := true
	out, err := services.Apply(ctx, s, manager, metadata.Service{Name: name, EnsureRunning: &yes}, services.Changed{})
	if err == nil && out.Degraded != "" {
		err = errors.New(out.Degraded)
	}
	return err
}

// A watched service is one that the metadata want running.
type watched struct{ manager, name string }

// watchAll sees to the services, and ends the pass.
func (r *run) watchAll(ctx context.Context) error {
	if r.applying() {
		r.System.Log.Info("services are left to cfn-init, which is running")
	} else {
		for _, s := range r.subjects {
			r.watch(ctx, s)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.note(r.state.save())
	return errors.Join(r.errs...)
}

// initPatience is how long cfn-init may run before it is taken to hang: no
// longer must it keep services from being seen to.
const initPatience = time.Hour

// applying says that cfn-init is running: what services are to be up by now is
// for it to say.
func (r *run) applying() bool {
	path := r.System.Path(agent.LockPath)
	l, err := lock.Try(path)
	if err == nil {
		_ = l.Release()
	}
	if !errors.Is(err, lock.ErrHeld) {
		return false
	}
	info, err := os.Stat(path) // its holder was noted in it when it began
	return err != nil || time.Since(info.ModTime()) < initPatience
}

// watch sees to the services of a resource, and forgets those that were.
func (r *run) watch(ctx context.Context, s *subject) {
	list := slices.DeleteFunc(r.watched(s), func(w watched) bool {
		return slices.ContainsFunc(r.Except, func(name string) bool { return services.Same(name, w.name) })
	})
	for _, w := range list {
		if ctx.Err() != nil {
			return
		}
		r.service(ctx, s, w)
	}
	if s.settled || s.known.Bytes() != nil {
		r.state.keepServices(s.id, list)
	}
}

// watched are the services of all configs of the default configSet that are
// to run. heat-cfntools looked at the config named config alone. A config
// that cannot be read is passed over: cfn-init tells of it.
func (r *run) watched(s *subject) []watched {
	init, err := s.known.Init()
	if err != nil {
		return nil // no metadata, or none for cfn-init
	}
	names, err := init.Expand("")
	if err != nil {
		r.System.Log.Debug("no services are looked at", "resource", s.id, "err", err)
		return nil
	}
	var list []watched
	for _, name := range names {
		c, err := init.Config(name)
		if err != nil {
			r.System.Log.Warn("services of a config are not looked at", "resource", s.id, "err", err)
			continue
		}
		for _, set := range c.Services {
			if set.Manager != "systemd" && set.Manager != "sysvinit" {
				continue
			}
			for _, svc := range set.Services {
				w := watched{set.Manager, svc.Name}
				if svc.EnsureRunning == nil {
					continue
				}
				// What a later config says holds.
				list = slices.DeleteFunc(list, func(other watched) bool { return other.name == w.name })
				if *svc.EnsureRunning {
					list = append(list, w)
				}
			}
		}
	}
	return list
}

// service looks at one service. When it is down it is started, within the
// limit, and the hooks are told, whether that worked or not and also beyond
// the limit: what they report is counted where the alarm is.
func (r *run) service(ctx context.Context, s *subject, w watched) {
	up, err := r.supervisor().running(ctx, r.System, w.manager, w.name)
	if errors.Is(err, services.ErrNothingRuns) {
		r.System.Log.Debug("services are not looked at", "err", err)
		return
	}
	if err != nil {
		if ctx.Err() == nil {
			r.note(fmt.Errorf("%w %s: %s", ErrLook, w.name, r.System.Mask.String(err.Error())))
		}
		return
	}
	id := s.id + serviceMark + w.name
	st := r.state.Services[id]
	result := Started
	switch {
	case !up:
		result = r.restart(ctx, w, id, &st)
	case st.Limited:
		r.System.Log.Info("service runs again", "name", w.name)
		st = serviceState{Pending: st.Pending}
		r.state.setService(id, st)
	}
	// A pass that was killed after a start left the hooks untold.
	if (!up || st.Pending) && ctx.Err() == nil {
		r.tell(ctx, s, w.name, result)
		st.Pending = false
		r.state.setService(id, st)
	}
	r.note(r.state.save())
}

// restart starts a service that is down, unless it was started too often.
func (r *run) restart(ctx context.Context, w watched, id string, st *serviceState) string {
	now := time.Now()
	st.Starts = slices.DeleteFunc(st.Starts, func(t time.Time) bool { return now.Sub(t) >= startWindow || t.After(now) })
	if len(st.Starts) >= startLimit {
		if !st.Limited {
			r.System.Log.Error("service does not stay up: it is not started again for now", "name", w.name, "starts", len(st.Starts), "within", startWindow)
		}
		st.Limited = true
		return Limit
	}
	st.Starts, st.Pending = append(st.Starts, now), true
	// Before the start, so that a pass that is killed counts too.
	r.state.setService(id, *st)
	r.note(r.state.save())
	if err := r.supervisor().start(ctx, r.System, w.manager, w.name); err != nil {
		if ctx.Err() == nil {
			r.System.Log.Warn("service was down and could not be started", "name", w.name, "err", r.System.Mask.String(err.Error()))
		}
		return Failed
	}
	r.System.Log.Warn("service was down and was started", "name", w.name)
	return Started
}

// tell runs the hooks for a service that was down.
func (r *run) tell(ctx context.Context, s *subject, name, result string) {
	for _, h := range hooks.Match(r.Config.Hooks, hooks.Event{Name: hooks.ServiceRestarted, Resource: s.id, Object: name}) {
		now := s.now
		if !s.settled {
			now = Resource{Metadata: s.known}
		}
		err := r.act(ctx, action{
			hook: h, trigger: hooks.ServiceRestarted, old: r.state.Values[key(h)], now: valueOf(h.Target, now),
			extra: []string{"CFN_SERVICE=" + name, "CFN_SERVICE_RESULT=" + result},
		})
		r.note(err)
		if ctx.Err() != nil {
			return
		}
		r.told(h, err)
	}
}

// told notes how an action for a service went. It is not tried again, since
// the next pass that finds the service down runs it anyway; a failure for a
// value, which is, stays the one to be told of.
func (r *run) told(h hooks.Hook, err error) {
	st := r.state.Hooks[key(h)]
	if st.Failures > 0 {
		return
	}
	st.Ran, st.Trigger, st.Error = time.Now(), hooks.ServiceRestarted, ""
	if err != nil {
		st.Error = err.Error()
	}
	r.state.setHook(key(h), st)
}
