// Package daemon is cfn-agent run: one schedule for all that a guest does
// again and again. It polls the metadata and runs hooks as cfn-hup does,
// keeps services alive, sends heartbeats and readings as cfn-push-stats does,
// checks that services answer, and runs jobs as cron(8) does; and it tells how
// all that goes.
//
// One goroutine has the schedule. What it starts runs in a goroutine of its
// own, never twice at a time, and is waited for. How Heat and the alarm server
// are reached, where the log is and who listens to it is for the caller.
package daemon

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/cfn-agent/cfn-agent/agent/hup"
	"github.com/cfn-agent/cfn-agent/agent/lock"
	"github.com/cfn-agent/cfn-agent/agent/stats"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/hooks"
	"github.com/cfn-agent/cfn-agent/metadata"
	"github.com/cfn-agent/cfn-agent/metadata/nova"
)

// A Heat is a way to ask Heat.
type Heat struct {
	Describe hup.Describe
	From     string                       // its address, as it may be shown
	Ahead    func() (time.Duration, bool) // of its clock, by its last answer
	Close    func()                       // gives connections back
}

// A Daemon does all that. The fields down to Now must be set.
type Daemon struct {
	System   *sys.System // Root, Run, Environ and Log are used
	Cache    metadata.Cache
	Heat     func(Config, hooks.Config) Heat
	Pusher   func(Config) (*stats.Pusher, error) // the error tells what is missing
	Instance func(context.Context) (nova.Instance, error)
	Roots    func(Config) *x509.CertPool        // of checks; nil: those of the system
	Mask     func(string) string                // hides secrets
	Output   func() (w io.Writer, flush func()) // gets what hooks and jobs write
	Restart  func(ctx context.Context, s *sys.System, unit string) error
	Notify   func(state string) // tells systemd, as sd_notify(3)
	Now      func() Instant     // Clock, but for tests

	Watchdog time.Duration // Notify is told of life twice in this time; 0: never
	Idle     func()        // called often when nothing is done; may be nil

	servicesEvery time.Duration // 0: servicesInterval

	scheduler *scheduler
	poller    *poller
	outbox    *outbox
	identity  identity
	rebooting sync.Mutex // guards the file of what was run for a boot
	seed      string     // of the instance
	began     time.Time
	config    Config

	status string // as systemd was told

	mu        sync.Mutex // guards what follows
	watchers  map[string]*watcher
	heartbeat *lock.Lock // says that heartbeats are sent here
}

// system is a System for one goroutine.
func (d *Daemon) system() *sys.System {
	return &sys.System{Root: d.System.Root, Run: d.System.Run, Environ: d.System.Environ, Log: d.System.Log}
}

// Run does everything until ctx is done, and all that it has started has
// ended. Ready is called when it has begun.
func (d *Daemon) Run(ctx context.Context, ready func()) error {
	d.began = time.Now()
	d.poller, d.outbox = newPoller(d), newOutbox(d)
	d.scheduler = newScheduler(d.Now, d.System.Log)
	d.scheduler.after, d.scheduler.idle = d.tellSystemd, d.Idle
	d.scheduler.watch, d.scheduler.alive = d.Watchdog, func() { d.Notify("WATCHDOG=1") }
	if d.seed = d.instance(ctx).UUID; d.seed == "" {
		d.seed = d.bootID()
	}
	d.reload()
	var group sync.WaitGroup
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group.Go(func() { d.outbox.run(sending) })
	ready()
	d.tellSystemd()
	d.scheduler.loop(ctx)
	stop()
	group.Wait()
	d.outbox.last(ctx)
	if d.heartbeat != nil {
		return d.heartbeat.Release()
	}
	return nil
}

// Reload reads the configuration again, and starts anew what has changed.
func (d *Daemon) Reload(ctx context.Context) {
	d.scheduler.call(func() {
		d.reload()
		d.poller.again()
		d.scheduler.ask(ctx, pollTask)
	})
}

// Poll has the metadata polled now. When somebody is waiting for it Heat is
// asked also when it did not answer a short time ago: a crontab that asks each
// minute is nobody.
func (d *Daemon) Poll(ctx context.Context, waiting bool) {
	d.scheduler.call(func() {
		if waiting {
			d.poller.again()
		}
		d.scheduler.ask(ctx, pollTask)
	})
}

// Names of tasks; those of checks and jobs have a word before their names.
const (
	pollTask      = "poll"
	servicesTask  = "services"
	heartbeatTask = "heartbeat"
	statsTask     = "stats"
)

// reload is for the scheduler's goroutine.
func (d *Daemon) reload() {
	c := Load(d.System.Root)
	if c.Broken && d.scheduler.tasks != nil {
		d.config.Problems = append(c.Problems, errors.New(stats.AgentConfig+": the configuration stays as it was"))
		d.sayProblems()
		return
	}
	d.poller.use(c)
	interval := d.poller.interval(c)
	list := []*task{
		d.task(pollTask, interval, c.key(), d.poller.poll, d.poller),
		d.task(servicesTask, cmp.Or(d.servicesEvery, servicesInterval), "", d.poller.services, nil),
	}
	d.outbox.use(c)
	p := &pulse{Daemon: d, config: c.Heartbeat}
	list = append(list, d.task(heartbeatTask, c.Heartbeat.Interval, fmt.Sprintf("%#v", c.Heartbeat), p.run, p))
	if c.Stats != nil {
		g := &gauge{Daemon: d, config: *c.Stats}
		list = append(list, d.task(statsTask, c.Stats.Interval, fmt.Sprintf("%#v", *c.Stats), g.run, nil))
	}
	for _, k := range c.Checks {
		w := &watcher{Daemon: d, config: k}
		t := d.task("check "+k.Name, k.Interval, fmt.Sprintf("%#v", k), w.run, w)
		// The heartbeat waits for it, and may not for a whole interval.
		w.early = slices.Contains(c.Heartbeat.While, k.Name)
		t.atOnce = w.early
		list = append(list, t)
	}
	for _, j := range c.Jobs {
		list = append(list, d.jobTask(j))
	}
	d.scheduler.replace(list)
	d.adopt(c, d.Roots(c))
}

// adopt notes what the tasks of a configuration are, and says what is wrong
// with it.
func (d *Daemon) adopt(c Config, roots *x509.CertPool) {
	watchers := map[string]*watcher{}
	for _, t := range d.scheduler.tasks {
		if w, ok := t.owner.(*watcher); ok {
			watchers[w.config.Name] = w
			w.trust(roots)
		}
	}
	d.mu.Lock()
	d.watchers = watchers
	d.mu.Unlock()
	for _, t := range d.scheduler.tasks {
		if p, ok := t.owner.(*pulse); ok {
			p.hold()
		}
	}
	d.config = c
	d.sayProblems()
}

func (d *Daemon) sayProblems() {
	for _, problem := range d.config.Problems {
		d.System.Log.Error(problem.Error())
	}
}

// key tells configurations of polls apart.
func (c Config) key() string { return fmt.Sprintf("%q %q %q", c.Main, c.Resource, c.CAFile) }

// task is something to do at an interval. Heartbeats and readings have the
// same phase: those that are due together go together.
func (d *Daemon) task(name string, interval time.Duration, key string, run func(context.Context), owner reporter) *task {
	seed := name
	if name == heartbeatTask || name == statsTask {
		seed = "push"
	}
	return &task{name: name, key: interval.String() + " " + key, schedule: spread(interval, d.seed+" "+seed), run: run, owner: owner}
}

// jobTask is the task of a job. Its schedule was found good.
func (d *Daemon) jobTask(j Job) *task {
	w := &worker{Daemon: d, config: j}
	t := &task{name: "job " + j.Name, key: fmt.Sprintf("%#v", j), run: w.run, owner: w, fixed: true}
	t.schedule, _ = parseSchedule(j.Schedule)
	switch s := t.schedule.(type) {
	case cron.ConstantDelaySchedule:
		t.fixed, t.schedule = false, spread(s.Delay, d.seed+" "+t.name)
	case atReboot:
		t.run, t.atOnce = w.atReboot, true
	}
	return t
}
