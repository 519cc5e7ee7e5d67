package daemon

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/hup"
	"github.com/cfn-agent/cfn-agent/agent/stats"
	"github.com/cfn-agent/cfn-agent/hooks"
)

// A Status is how it goes with everything. Texts have no secrets; times that
// are zero are not known.
type Status struct {
	PID         int              `json:"pid"`
	Since       time.Time        `json:"since"`
	Metadata    []MetadataStatus `json:"metadata"`
	Hooks       []HookStatus     `json:"hooks"`
	LeftAlone   []string         `json:"services_left_alone"` // RESOURCE|SERVICE, started too often to be started now
	Unseen      []string         `json:"services_unseen"`     // why it is not known whether some run
	Checks      []CheckStatus    `json:"checks"`
	Heartbeat   HeartbeatStatus  `json:"heartbeat"`
	Jobs        []JobStatus      `json:"jobs"`
	ClockOffset *float64         `json:"clock_offset_seconds"` // by which Heat's clock is ahead; null: not known
	Problems    []string         `json:"problems"`             // of the configuration
	Missing     []string         `json:"missing"`              // what is not done, and why
}

// A MetadataStatus is about the metadata of a resource.
type MetadataStatus struct {
	Resource string    `json:"resource"`
	When     time.Time `json:"when,omitzero"`  // Heat told them last
	From     string    `json:"from,omitempty"` // URL of Heat
	Hash     string    `json:"hash,omitempty"` // SHA-256 of the document
	Error    string    `json:"error,omitempty"`
	Asked    time.Time `json:"asked,omitzero"` // when that was
}

// A HookStatus is about a hook.
type HookStatus struct {
	Name   string    `json:"name"`
	Event  string    `json:"event,omitempty"` // the last one an action was run for
	At     time.Time `json:"at,omitzero"`
	Result string    `json:"result"`
	Next   time.Time `json:"next,omitzero"` // of a failed action
	Failed bool      `json:"failed"`
}

// A CheckStatus is about a check. State is new, passing, failing or left
// alone.
type CheckStatus struct {
	Name     string    `json:"name"`
	State    string    `json:"state"`
	Since    time.Time `json:"since,omitzero"`
	Error    string    `json:"error,omitempty"` // of the last check
	Failures int       `json:"failures"`        // in a row, since a restart
}

// States of a check.
const (
	New     = "new"
	Passing = "passing"
	Failing = "failing"
	Left    = "left alone"
)

// A HeartbeatStatus is about what is sent to the alarm server.
type HeartbeatStatus struct {
	Watch   string    `json:"watch,omitempty"`
	Sent    time.Time `json:"sent,omitzero"` // something was taken last
	Answer  string    `json:"answer"`        // to the last push: ok, an error, or none yet
	Failed  bool      `json:"failed"`
	Paused  []string  `json:"paused,omitempty"` // for these checks
	Spooled int       `json:"spooled"`          // datapoints that wait
	Dropped int       `json:"dropped"`          // of those that waited
}

// A JobStatus is about a job.
type JobStatus struct {
	Name    string    `json:"name"`
	Running bool      `json:"running"`
	Began   time.Time `json:"began,omitzero"` // the last run
	Ended   time.Time `json:"ended,omitzero"`
	Result  string    `json:"result"` // ok, an error, or none yet
	Next    time.Time `json:"next,omitzero"`
	Failed  bool      `json:"failed"`
}

// A reporter adds what it knows to a status. It is called by the scheduler's
// goroutine.
type reporter interface{ report(s *Status, t *task) }

// okay is what is told of what went well.
const okay = "ok"

// Status tells how it goes.
func (d *Daemon) Status() Status {
	s := Status{
		PID: os.Getpid(), Since: d.began, Metadata: []MetadataStatus{}, Hooks: []HookStatus{}, LeftAlone: []string{}, Unseen: []string{},
		Checks: []CheckStatus{}, Jobs: []JobStatus{}, Problems: []string{}, Missing: []string{},
	}
	d.scheduler.call(func() {
		for _, t := range d.scheduler.tasks {
			if t.owner != nil {
				t.owner.report(&s, t)
			}
		}
		for _, problem := range d.config.Problems {
			s.Problems = append(s.Problems, oneLine(problem.Error()))
		}
	})
	return s
}

func (p *poller) report(s *Status, _ *task) {
	config := p.reportKnown(s)
	c, _ := hooks.LoadWith(hooks.Find(p.System.Root, ""), config.Main)
	path := p.System.Path(hup.StatePath)
	list, err := p.memory.Status(path, c.Hooks)
	for _, err := range []error{err, p.memory.Err()} {
		if err != nil {
			s.Problems = append(s.Problems, oneLine(err.Error()))
		}
	}
	for _, h := range list {
		hook := HookStatus{Name: h.Hook, Event: h.Event, At: h.At, Result: okay, Next: h.Next, Failed: h.Failing}
		switch {
		case h.Failing:
			hook.Result = oneLine(h.Error)
		case h.Event == "":
			hook.Result = h.Text
		}
		s.Hooks = append(s.Hooks, hook)
	}
	left, _ := p.memory.LeftAlone(path, append(hooks.Resources(c.Hooks), config.Resource))
	s.LeftAlone = append(s.LeftAlone, left...)
}

// reportKnown is report without what is in files. It returns the
// configuration.
func (p *poller) reportKnown(s *Status) Config {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(p.known)) {
		k := p.known[id]
		m := MetadataStatus{Resource: id, When: k.when, From: k.from, Hash: k.hash}
		if k.err != nil {
			m.Error, m.Asked = oneLine(p.Mask(k.err.Error())), k.asked
		}
		s.Metadata = append(s.Metadata, m)
	}
	if p.ahead != nil {
		offset := p.ahead.Seconds()
		s.ClockOffset = &offset
	}
	s.Problems, s.Missing = append(s.Problems, p.problems...), append(s.Missing, p.missing...)
	s.Unseen = append(s.Unseen, p.unseen...)
	return p.config
}

func (w *watcher) report(s *Status, _ *task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := CheckStatus{Name: w.config.Name, State: Passing, Since: w.state.since, Failures: w.state.failures}
	switch {
	case w.state.left:
		c.State = Left
	case w.state.failing:
		c.State = Failing
	case !w.state.passed:
		c.State = New
	}
	if w.state.err != nil {
		c.Error = oneLine(w.Mask(w.state.err.Error()))
	}
	s.Checks = append(s.Checks, c)
}

func (p *pulse) report(s *Status, _ *task) {
	h := HeartbeatStatus{Watch: p.config.Watch, Answer: okay}
	p.mu.Lock()
	h.Paused = p.paused
	p.mu.Unlock()
	failing := p.outbox.failing()
	p.outbox.mu.Lock()
	h.Sent = p.outbox.sent
	if failing != "" {
		h.Answer, h.Failed = failing, true
	} else if h.Sent.IsZero() {
		h.Answer = "none yet"
	}
	if p.outbox.missing != "" {
		s.Missing = append(s.Missing, p.outbox.missing)
	}
	p.outbox.mu.Unlock()
	kept, err := stats.Spool{Path: p.System.Path(stats.SpoolPath)}.Load()
	if err != nil {
		h.Answer, h.Failed = oneLine(err.Error()), true
	}
	h.Spooled, h.Dropped = len(kept.Points), kept.Dropped
	s.Heartbeat = h
}

func (w *worker) report(s *Status, t *task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	j := JobStatus{Name: w.config.Name, Began: w.last.began, Ended: w.last.ended, Result: "none yet", Failed: w.last.err != nil}
	running := w.scheduler.running[t.name]
	j.Running = running != nil && (running != t || j.Ended.IsZero()) // another one: as it was before a reload
	switch {
	case w.last.err != nil:
		j.Result = oneLine(w.last.err.Error())
	case !j.Ended.IsZero():
		j.Result = okay
	}
	if !t.next.IsZero() {
		now := w.Now()
		j.Next = now.Wall.Add(t.next.Sub(t.scale(now)))
	}
	s.Jobs = append(s.Jobs, j)
}

// Failing are the things that do not go well, each in a few words.
func (s Status) Failing() []string {
	var list []string
	for _, m := range s.Metadata {
		if m.Error != "" {
			list = append(list, "metadata of "+m.Resource)
		}
	}
	for _, h := range s.Hooks {
		if h.Failed {
			list = append(list, "hook "+h.Name)
		}
	}
	for _, name := range s.LeftAlone {
		list = append(list, "service "+name[strings.LastIndexByte(name, '|')+1:])
	}
	if len(s.Unseen) > 0 {
		list = append(list, "services")
	}
	for _, c := range s.Checks {
		if c.State == Failing || c.State == Left {
			list = append(list, "check "+c.Name)
		}
	}
	if s.Heartbeat.Failed {
		list = append(list, "heartbeat")
	}
	for _, j := range s.Jobs {
		if j.Failed {
			list = append(list, "job "+j.Name)
		}
	}
	if len(s.Problems) > 0 {
		list = append(list, "configuration")
	}
	return list
}

// WriteJSON writes the status as one object.
func (s Status) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(s)
}

// tellSystemd tells systemd in one line how it goes, when that has changed.
func (d *Daemon) tellSystemd() {
	var s Status
	for _, t := range d.scheduler.tasks {
		switch owner := t.owner.(type) {
		case *poller:
			owner.reportKnown(&s)
		case *watcher:
			owner.report(&s, t)
		case *worker:
			owner.report(&s, t)
		}
	}
	s.Heartbeat.Failed = d.outbox.failing() != ""
	line := fmt.Sprintf("%d checks, %d jobs", len(s.Checks), len(s.Jobs))
	if failing := s.Failing(); len(failing) > 0 {
		line += "; failing: " + strings.Join(failing, ", ")
	}
	if line != d.status {
		d.status = line
		d.Notify("STATUS=" + line)
	}
}

func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), " | ")
}
