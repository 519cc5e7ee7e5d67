package daemon

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/lock"
	"github.com/cfn-agent/cfn-agent/agent/metric"
	"github.com/cfn-agent/cfn-agent/agent/retry"
	"github.com/cfn-agent/cfn-agent/agent/stats"
	"github.com/cfn-agent/cfn-agent/metadata/nova"
)

// linger is how long a datapoint waits for others that are due in the same
// second, to go with them in one request. A reading of the processors takes a
// second.
const linger = 2 * time.Second

// lastChance is how long a daemon that is stopped tries to send what waits.
const lastChance = 3 * time.Second

// An outbox sends datapoints, one request at a time.
type outbox struct {
	*Daemon
	wake chan struct{}

	mu      sync.Mutex // guards what follows
	config  Config
	fresh   bool // config is new: how to send must be found out again
	found   bool // a server is known
	points  []metric.Datapoint
	pushing bool      // a push is under way
	sent    time.Time // the server took something
	answer  string    // to the last push: empty when it was taken
	missing string    // no server is named; empty: one is
	unable  string    // what keeps pushes to the one that is from being tried
	said    said

	pusher *stats.Pusher // of run alone
}

func newOutbox(d *Daemon) *outbox { return &outbox{Daemon: d, wake: make(chan struct{}, 1)} }

// use has pushes from now on use a configuration.
func (o *outbox) use(c Config) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.config, o.fresh, o.found = c, true, false
}

// knows says that there is a way to a server. What is missing is said once.
func (o *outbox) knows() bool {
	o.mu.Lock()
	found, config := o.found, o.config
	o.mu.Unlock()
	if found {
		return true
	}
	_, err := o.Pusher(config)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.found, o.missing, o.unable = err == nil, "", ""
	if err != nil {
		line := "nothing is sent to an alarm server: " + oneLine(err.Error())
		if o.said.isNew([]string{line}) {
			o.System.Log.Error(line)
		}
		if errors.Is(err, stats.ErrNoServer) {
			o.missing = line
		} else {
			o.unable = line
		}
	}
	return o.found
}

// failing is why what was to be sent last was not; empty: it was.
func (o *outbox) failing() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.Mask(cmp.Or(o.unable, o.answer))
}

// add has datapoints sent soon.
func (o *outbox) add(points []metric.Datapoint) {
	if len(points) == 0 {
		return
	}
	o.mu.Lock()
	for _, p := range points {
		if o.pushing { // it will be late: the server is slow
			p.Time = time.Now()
		}
		o.points = append(o.points, p)
	}
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// run sends until ctx is done, and then what is there if it goes at once:
// what does not is kept in the spool.
func (o *outbox) run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-o.wake:
			timer := time.NewTimer(linger)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
			timer.Stop()
			if ctx.Err() == nil {
				o.push(ctx)
			}
		}
	}
}

// last sends what is left when nothing is added any longer.
func (o *outbox) last(ctx context.Context) {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), lastChance, errors.New("the daemon was stopped"))
	defer cancel()
	if o.pusher != nil {
		o.pusher.Retry = retry.Policy{} // one try
	}
	o.push(ctx)
}

func (o *outbox) push(ctx context.Context) {
	o.mu.Lock()
	points, config, fresh := o.points, o.config, o.fresh
	if len(points) == 0 { // it was woken by what went with the last push
		o.mu.Unlock()
		return
	}
	o.points, o.fresh, o.pushing = nil, false, true
	o.mu.Unlock()
	sent, err := o.send(ctx, config, fresh, points)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pushing, o.answer = false, ""
	if sent {
		o.sent = time.Now()
	}
	if err == nil {
		o.said = ""
		return
	}
	o.answer = oneLine(err.Error())
	if !errors.Is(err, errKept) && o.said.isNew([]string{o.answer}) { // what is kept is told of by the pusher
		o.System.Log.Error("datapoints were not sent: " + o.answer)
	}
}

// send is one push. sent says that the server took some of the datapoints.
func (o *outbox) send(ctx context.Context, config Config, fresh bool, points []metric.Datapoint) (sent bool, err error) {
	if o.pusher == nil || fresh {
		if o.pusher, err = o.Pusher(config); err != nil {
			return false, err
		}
	}
	r, err := o.pusher.Push(ctx, points)
	o.pusher.HTTP.CloseIdleConnections() // a connection for each guest is much for a server
	if err != nil {
		o.pusher = nil // its keys may have been replaced
	} else if r.Spooled > 0 {
		err = errKept
	}
	return r.Sent > 0, err
}

// errKept is the answer of a server that could not be reached.
var errKept = errors.New("the server cannot be reached: datapoints are kept to be sent later")

// instanceAgain is how long to wait before asking again who this is.
const instanceAgain = 5 * time.Minute

// An identity is who this guest is, once somebody has told.
type identity struct {
	mu       sync.Mutex
	instance nova.Instance
	asked    time.Time
}

func (d *Daemon) instance(ctx context.Context) nova.Instance {
	i := &d.identity
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.instance.UUID != "" || !i.asked.IsZero() && time.Since(i.asked) < instanceAgain {
		return i.instance
	}
	i.asked = time.Now()
	instance, err := d.Instance(ctx)
	if err != nil {
		d.System.Log.Debug("datapoints do not tell the instance", "err", err)
		return i.instance
	}
	i.instance = instance
	return instance
}

// gather adds readings for an alarm to the outbox.
func (d *Daemon) gather(ctx context.Context, selection stats.Selection, watch string) error {
	if !d.outbox.knows() {
		return nil
	}
	points, err := stats.Gather(ctx, d.System.Root, selection)
	if ctx.Err() != nil {
		return nil
	}
	dimensions := stats.Dimensions(d.instance(ctx), watch)
	for i := range points {
		points[i].Dimensions = dimensions
	}
	d.outbox.add(points)
	return err
}

// A pulse sends heartbeats.
type pulse struct {
	*Daemon
	config Heartbeat

	mu     sync.Mutex
	paused []string // checks that do not
}

// hold says to others that the heartbeats for the alarm are sent here, once a
// server is known.
func (p *pulse) hold() bool {
	if !p.outbox.knows() {
		return false
	}
	p.Daemon.mu.Lock()
	defer p.Daemon.mu.Unlock()
	if p.heartbeat == nil {
		l, err := lock.Try(p.System.Path(stats.HeartbeatPath))
		if err != nil {
			p.System.Log.Warn("other tools may send the heartbeat too", "err", err)
			return true
		}
		p.heartbeat = l
	}
	if err := p.heartbeat.Note(p.config.Watch + "\n"); err != nil {
		p.System.Log.Warn("other tools may send the heartbeat too", "err", err)
	}
	return true
}

func (p *pulse) run(ctx context.Context) {
	if !p.hold() {
		return
	}
	failing := p.failing()
	p.mu.Lock()
	changed := !slices.Equal(p.paused, failing)
	p.paused = failing
	p.mu.Unlock()
	switch {
	case changed && len(failing) > 0:
		p.System.Log.Info("heartbeat waits until checks pass", "checks", strings.Join(failing, ", "))
	case changed:
		p.System.Log.Info("heartbeat goes on")
	}
	if len(failing) > 0 {
		return
	}
	_ = p.gather(ctx, stats.Selection{Names: []string{stats.Heartbeat}}, p.config.Watch) // a constant
}

// failing are the checks that must pass and do not.
func (p *pulse) failing() []string {
	p.Daemon.mu.Lock()
	defer p.Daemon.mu.Unlock()
	var names []string
	for _, name := range p.config.While {
		if w := p.watchers[name]; w == nil || !w.passes() {
			names = append(names, name)
		}
	}
	return names
}

// A gauge sends readings.
type gauge struct {
	*Daemon
	config Stats
	said   said
}

func (g *gauge) run(ctx context.Context) {
	err := g.gather(ctx, g.config.Selection, g.config.Watch)
	var lines []string
	if err != nil {
		lines = strings.Split(err.Error(), "\n")
	}
	if g.said.isNew(lines) {
		for _, line := range lines {
			g.System.Log.Error("not all could be read: " + line)
		}
	}
}
