// Package agent applies the configs of AWS::CloudFormation::Init to a
// machine: the seven sections of each in their order, one item after the
// other, with a journal that lets a run that was cut short go on, and a
// report of what changed.
//
// Each section is a package of its own below this one. Reading the metadata
// is the work of package metadata; where it comes from is not known here.
//
// The order of the sections is the one AWS documents for
// AWS::CloudFormation::Init: packages, groups, users, sources, files,
// commands, services.
package agent

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/commands"
	"github.com/cfn-agent/cfn-agent/agent/fetch"
	"github.com/cfn-agent/cfn-agent/agent/files"
	"github.com/cfn-agent/cfn-agent/agent/services"
	"github.com/cfn-agent/cfn-agent/agent/sources"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// LockPath is the file whose lock a run holds.
const LockPath = "/run/cfn-init.lock"

// A Run applies configs. System and Fetch must be set.
type Run struct {
	System   *sys.System
	Fetch    *fetch.Client
	Commands commands.Options
	Strict   bool     // what would be degraded ends the run
	Journal  *Journal // nil: none is kept, as for a dry run
	Progress Progress // may be nil
}

// Progress is told of an item: before it is begun, when it has a path and
// nothing else, and when it is done. Number is its place among total steps.
type Progress func(item Item, done bool, number, total int)

// A DegradedError is, in a strict run, what another run would go on without.
type DegradedError struct{ Reason string }

// Error is the reason.
func (e *DegradedError) Error() string { return e.Reason }

// Apply brings the machine to what the configs say, and returns what became
// of each item, also when there is an error: a *metadata.PathError that says
// where. commands.ErrReboot within it means that a command wants the machine
// to boot before the run goes on.
func (r *Run) Apply(ctx context.Context, configs []metadata.Config) ([]Item, error) {
	changed := &changes{perConfig: make([]services.Changed, len(configs))}
	steps := make([][]step, len(configs))
	p := &progress{tell: r.Progress}
	for n, c := range configs {
		steps[n] = r.steps(n, c, changed)
		p.total += len(steps[n])
	}
	var items []Item
	for n, c := range configs {
		start := len(items)
		for i, s := range steps[n] {
			p.begin(s)
			done, err := r.step(ctx, s)
			changed.note(s, done)
			items = append(items, done...)
			noteRestarts(items[start:], done)
			p.finish(done)
			if err == nil && s.section == sectionFiles && (i+1 == len(steps[n]) || steps[n][i+1].section != sectionFiles) {
				err = r.syncFiles(items[start:])
			}
			if err == nil && r.Strict {
				if err := firstDegraded(done); err != nil {
					return items, err
				}
			}
			if err != nil {
				return items, &metadata.PathError{Path: s.path, Err: err}
			}
		}
		if err := r.settle(c, items[start:]); err != nil {
			return items, err
		}
	}
	return items, nil
}

// syncFiles makes the files of a config durable before what comes after them
// relies on them.
func (r *Run) syncFiles(items []Item) error {
	var paths []string
	for _, item := range items {
		if item.Section == sectionFiles && item.Changed {
			paths = append(paths, item.Name)
		}
	}
	if r.System.DryRun {
		return nil
	}
	return files.Sync(r.System, paths)
}

// settle is the end of a config that was applied: what its files and commands
// made of the trees of its sources is how they are to be.
func (r *Run) settle(c metadata.Config, items []Item) error {
	if r.System.DryRun {
		return nil
	}
	for _, src := range c.Sources {
		applied := func(item Item) bool {
			return item.Section == sectionSources && item.Name == src.Dir && item.Degraded == ""
		}
		if !slices.ContainsFunc(items, applied) {
			continue
		}
		if err := sources.Settle(r.System, src); err != nil {
			return &metadata.PathError{Path: metadata.Path(c.Name, sectionSources, src.Dir), Err: err}
		}
	}
	return nil
}

func firstDegraded(items []Item) error {
	for _, item := range items {
		if item.Degraded != "" {
			return &metadata.PathError{Path: item.Path, Err: &DegradedError{item.Degraded}}
		}
	}
	return nil
}

// progress counts steps as they are done.
type progress struct {
	tell          Progress
	number, total int
}

func (p *progress) begin(s step) {
	p.number++
	if p.tell != nil {
		p.tell(Item{Path: s.path, Section: s.section, Name: s.name}, false, p.number, p.total)
	}
}

func (p *progress) finish(items []Item) {
	for _, item := range items {
		if p.tell != nil {
			p.tell(item, true, p.number, p.total)
		}
	}
}

// step does one step, or takes its outcome from the journal when an earlier
// run has finished it.
func (r *Run) step(ctx context.Context, s step) ([]Item, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	start := time.Now()
	if outcomes, ok := r.Journal.finished(s.id); ok {
		items := r.items(s, outcomes, start)
		for i := range items {
			items[i].Resumed = true
		}
		return items, nil
	}
	if err := r.Journal.begin(s); err != nil {
		return nil, err
	}
	outcomes, err := s.apply(ctx)
	reboot := errors.Is(err, commands.ErrReboot)
	if err != nil && !reboot {
		// What was being done when the time ran out is kept where it is said.
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = cause
		}
		return []Item{r.failed(s, err, start)}, err
	}
	items := r.items(s, outcomes, start)
	// A command that wants a reboot has run: after the boot comes the next one.
	if err := r.Journal.finish(s.id, outcomes, reboot); err != nil {
		return items, err
	}
	return items, err
}
