// Package hup is one pass of cfn-hup: it asks Heat for the resources that
// hooks name, runs the actions of the hooks whose values have changed, and
// starts the services of the metadata that should run and do not, but while
// cfn-init is running.
//
// It keeps what it has seen and done in a file, so that an action runs at
// least once for a change: a value counts as seen only when its action has
// succeeded. Reading the configuration is the work of package hooks, and how
// Heat is asked that of the caller.
//
// The rules are those of cfn-hup in the AWS CloudFormation User Guide and of
// OpenStack's heat-cfntools, from which service.restarted comes.
package hup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/lock"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/hooks"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// Files of a pass, and PIDPath, which a program that makes passes again and
// again holds as its lock; its process id is in it.
const (
	LockPath   = "/run/cfn-hup.lock"
	PIDPath    = "/run/cfn-hup.pid"
	StatePath  = "/var/lib/cfn-hup/data/metadata_db.json" // as for aws-cfn-bootstrap
	actionsDir = "/run/cfn-hup"                           // values for actions under way
)

// ErrBusy says that another pass is running: this one was skipped.
var ErrBusy = errors.New("another pass is running")

// A Resource is what Heat tells of a resource.
type Resource struct {
	Status      string    // as UPDATE_COMPLETE
	PhysicalID  string    // empty: none
	LastUpdated time.Time // zero: not known
	Metadata    metadata.Document
}

// Describe asks Heat for a resource by its logical id.
type Describe func(ctx context.Context, id string) (Resource, error)

// A Pass looks once at the resources of the hooks and at their services. Config,
// System, Describe and Cache must be set.
type Pass struct {
	Config   hooks.Config
	System   *sys.System
	Describe Describe
	Cache    metadata.Cache      // has what cfn-init applied last
	Output   io.Writer           // gets what actions write, secrets masked; nil: nowhere
	Resource string              // is looked at also when no hook names it; may be empty
	Hide     func(string) string // hides secrets that are not in the metadata; nil: there are none
	Memory   *Memory             // of one pass for the next of this process; nil: none
	Except   []string            // services that something else keeps alive

	service supervisor // zero: the services of the machine
}

// Run does the pass. The error is ErrBusy when another one is running, which
// may be for hours; else it joins what went wrong: resources that Heat did
// not tell of, actions that failed. One failure keeps nothing else from being
// done.
func (p *Pass) Run(ctx context.Context) error {
	r, err := p.begin(ctx, p.resources())
	if err != nil {
		return err
	}
	defer r.lock.Release()
	// What an update brings is applied before its services are looked at.
	for _, h := range p.Config.Hooks {
		r.note(r.compare(ctx, h))
	}
	return r.watchAll(ctx)
}

// resources are those that are looked at.
func (p *Pass) resources() []string {
	ids := hooks.Resources(p.Config.Hooks)
	if p.Resource != "" && !slices.Contains(ids, p.Resource) {
		ids = append(ids, p.Resource)
	}
	return ids
}

// Services looks at the services alone, those of the last metadata, and asks
// Heat for nothing. The errors are those of Run.
func (p *Pass) Services(ctx context.Context) error {
	r, err := p.beginKnown(ctx)
	if err != nil {
		return err
	}
	defer r.lock.Release()
	return r.watchAll(ctx)
}

// Tell runs the hooks for a service that something else has found down, with
// what became of it: Started, Failed or Limit. They are those for Resource, or
// where that is not named those for any. The errors are those of Run.
func (p *Pass) Tell(ctx context.Context, service, result string) error {
	r, err := p.beginKnown(ctx)
	if err != nil {
		return err
	}
	defer r.lock.Release()
	for _, s := range r.subjects {
		if p.Resource == "" || s.id == p.Resource {
			r.tell(ctx, s, service, result)
		}
	}
	r.note(r.state.save())
	return errors.Join(r.errs...)
}

// beginKnown is begin with what is known without asking Heat.
func (p *Pass) beginKnown(ctx context.Context) (*run, error) {
	known := *p
	known.Describe = func(context.Context, string) (Resource, error) { return Resource{}, ErrNotAsked }
	return known.begin(ctx, p.resources())
}

// Trigger runs the action of one hook, whether its value has changed or not,
// with the trigger "manual". When it succeeds the value counts as seen.
func (p *Pass) Trigger(ctx context.Context, name string) error {
	i := slices.IndexFunc(p.Config.Hooks, func(h hooks.Hook) bool { return h.Name == name })
	if i < 0 {
		var names []string
		for _, h := range p.Config.Hooks {
			names = append(names, h.Name)
		}
		return fmt.Errorf("there is no hook %q: the hooks are %s", name, strings.Join(names, ", "))
	}
	h := p.Config.Hooks[i]
	r, err := p.begin(ctx, []string{h.Target.Resource})
	if err != nil {
		return err
	}
	defer r.lock.Release()
	s := r.subject(h.Target.Resource)
	if !s.settled {
		return errors.Join(append(r.errs, fmt.Errorf("hook %s: nothing certain is known of resource %s now", name, s.id))...)
	}
	r.note(r.fire(ctx, h, s, manual))
	return errors.Join(r.errs...)
}

// manual is what CFN_TRIGGER says when a person has run a hook.
const manual = "manual"

// A run is a pass under way.
type run struct {
	*Pass
	System   *sys.System // with the mask of what is known by now
	lock     *lock.Lock
	state    *state
	subjects []*subject
	errs     []error
}

// A subject is a resource and what is known of it.
type subject struct {
	id      string
	now     Resource
	settled bool              // now was told by Heat, and no change is under way
	known   metadata.Document // what its services are read from: may be older
}

func (r *run) subject(id string) *subject {
	i := slices.IndexFunc(r.subjects, func(s *subject) bool { return s.id == id })
	return r.subjects[i]
}

func (r *run) note(err error) {
	if err != nil {
		r.errs = append(r.errs, err)
	}
}

// begin takes the lock and finds out what there is to know.
func (p *Pass) begin(ctx context.Context, ids []string) (*run, error) {
	held, err := lock.Try(p.System.Path(LockPath))
	if errors.Is(err, lock.ErrHeld) {
		return nil, ErrBusy
	}
	if err != nil {
		return nil, err
	}
	// Of actions that were killed: under the lock there are no others.
	_ = os.RemoveAll(p.System.Path(actionsDir))
	system := *p.System
	r := &run{Pass: p, System: &system, lock: held}
	r.state, err = p.Memory.load(p.System.Path(StatePath))
	if err != nil {
		p.System.Log.Error("what was seen before cannot be read, and is taken from the last metadata", "err", err)
	}
	secrets := []string{}
	for _, id := range ids {
		s := r.ask(ctx, id)
		r.subjects = append(r.subjects, s)
		secrets = append(append(secrets, s.known.Secrets()...), s.now.Metadata.Secrets()...)
	}
	system.Mask = sys.NewMask(secrets)
	if err := r.baseline(); err != nil {
		return nil, errors.Join(err, held.Release())
	}
	return r, nil
}

// ask finds out about one resource. When Heat does not tell, or is changing
// it, its last metadata is known still.
func (r *run) ask(ctx context.Context, id string) *subject {
	s := &subject{id: id}
	s.known, _ = r.Cache.Last(id)
	res, err := r.Describe(ctx, id)
	log := r.System.Log
	switch {
	case errors.Is(err, ErrNotAsked):
		log.Debug("heat did not tell of the resource and is not asked yet", "resource", id)
	case err != nil:
		r.note(err)
	case strings.HasSuffix(res.Status, "_IN_PROGRESS"):
		log.Debug("resource is being changed, so it is left for the next pass", "resource", id, "status", res.Status)
	case res.Status == "DELETE_COMPLETE":
		s.settled, s.known = true, metadata.Document{}
	default:
		s.now, s.settled = res, true
	}
	return s
}

// baseline sees to it that every hook has a value to compare with: where none
// is stored, the one in the metadata that cfn-init applied last. Only when
// that is stored is the metadata kept as the last one, so that no change is
// lost whenever this program is killed.
func (r *run) baseline() error {
	for _, h := range r.Config.Hooks {
		i := slices.IndexFunc(r.subjects, func(s *subject) bool { return s.id == h.Target.Resource })
		if i < 0 || !r.subjects[i].settled {
			continue
		}
		if _, ok := r.state.Values[key(h)]; !ok {
			last, _ := r.Cache.Last(h.Target.Resource)
			r.state.set(key(h), valueOf(h.Target, Resource{Metadata: last}))
		}
	}
	err := r.state.save()
	if err != nil && r.Memory == nil {
		return err
	}
	r.note(err)
	for _, s := range r.subjects {
		if s.settled && s.now.Metadata.Bytes() != nil {
			s.known = s.now.Metadata
			if err != nil {
				continue
			}
			if err := r.keep(s); err != nil {
				r.System.Log.Warn("the metadata could not be kept", "resource", s.id, "err", err)
			}
		}
	}
	return nil
}

// keep saves the metadata of a resource as its last ones. heat-cfntools saved
// those of every resource as the last ones of any too, and read that: with two
// resources each pass found a change.
func (r *run) keep(s *subject) error {
	if len(r.resources()) > 1 {
		return r.Cache.SaveResource(s.now.Metadata, s.id)
	}
	return r.Cache.Save(s.now.Metadata, s.id)
}
