package agent

import (
	"context"
	"fmt"
	"slices"

	"github.com/cfn-agent/cfn-agent/agent/accounts"
	"github.com/cfn-agent/cfn-agent/agent/commands"
	"github.com/cfn-agent/cfn-agent/agent/files"
	"github.com/cfn-agent/cfn-agent/agent/packages"
	"github.com/cfn-agent/cfn-agent/agent/services"
	"github.com/cfn-agent/cfn-agent/agent/sources"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// Names of the sections.
const (
	sectionPackages = "packages"
	sectionGroups   = "groups"
	sectionUsers    = "users"
	sectionSources  = "sources"
	sectionFiles    = "files"
	sectionCommands = "commands"
	sectionServices = "services"
)

// A step is the smallest thing that is done whole: one item, or for packages
// all those of one manager, since they go in one transaction.
type step struct {
	number  int    // of the config in the run
	config  string // its name
	id      string // unique in the run, the same in each run of the same configs
	path    string // in the metadata
	section string
	manager string // of packages and services
	name    string // of the item; empty of packages
	file    string // of files: where it is written
	apply   func(context.Context) ([]sys.Outcome, error)
}

// steps lists what the n-th config asks for, in the order in which it is
// done: this list is the order of the sections. What has changed when a
// service's turn comes is read from changed.
func (r *Run) steps(n int, c metadata.Config, changed *changes) []step {
	l := &stepList{config: c.Name, number: n}
	for _, set := range c.Packages {
		l.add(step{section: sectionPackages, manager: set.Manager, apply: func(ctx context.Context) ([]sys.Outcome, error) {
			return packages.Apply(ctx, r.System, r.Fetch, set)
		}})
	}
	for _, g := range c.Groups {
		l.addItem(sectionGroups, "", g.Name, func(ctx context.Context) (sys.Outcome, error) {
			return accounts.ApplyGroup(ctx, r.System, g)
		})
	}
	coming := changed.foresee(c)
	for _, u := range c.Users {
		l.addItem(sectionUsers, "", u.Name, func(ctx context.Context) (sys.Outcome, error) {
			return accounts.ApplyUser(ctx, r.System, u, coming)
		})
	}
	for _, s := range c.Sources {
		l.addItem(sectionSources, "", s.Dir, func(ctx context.Context) (sys.Outcome, error) {
			return sources.Apply(ctx, r.System, r.Fetch, s)
		})
	}
	for _, f := range c.Files {
		l.addItem(sectionFiles, "", f.Path, func(ctx context.Context) (sys.Outcome, error) {
			return files.Apply(ctx, r.System, r.Fetch, f)
		})
		l.steps[len(l.steps)-1].file = r.System.Path(f.Path)
	}
	for _, cmd := range c.Commands {
		l.addItem(sectionCommands, "", cmd.Name, func(ctx context.Context) (sys.Outcome, error) {
			return commands.Apply(ctx, r.System, cmd, r.Commands)
		})
	}
	for _, set := range c.Services {
		for _, svc := range set.Services {
			l.addItem(sectionServices, set.Manager, svc.Name, func(ctx context.Context) (sys.Outcome, error) {
				return services.Apply(ctx, r.System, set.Manager, svc, changed.forService(n))
			})
		}
	}
	return l.steps
}

type stepList struct {
	config string
	number int
	steps  []step
}

func (l *stepList) add(s step) {
	keys := []string{l.config, s.section}
	if s.manager != "" {
		keys = append(keys, s.manager)
	}
	if s.name != "" {
		keys = append(keys, s.name)
	}
	s.number, s.config = l.number, l.config
	s.path = metadata.Path(keys...)
	s.id = fmt.Sprintf("%d %s", l.number, s.path)
	l.steps = append(l.steps, s)
}

func (l *stepList) addItem(section, manager, name string, apply func(context.Context) (sys.Outcome, error)) {
	l.add(step{section: section, manager: manager, name: name, apply: func(ctx context.Context) ([]sys.Outcome, error) {
		o, err := apply(ctx)
		o.Name = name
		return []sys.Outcome{o}, err
	}})
}

// changes are what services are told of: what changed in their own config,
// and whether a unit file has changed since systemd last read them all, in
// whichever config.
type changes struct {
	perConfig []services.Changed
	unitFiles bool
	coming    accounts.Coming // of the configs whose steps are listed
}

// foresee adds what a config will make to that of the configs before it, and
// returns it all. useradd makes a group of each user's name.
func (c *changes) foresee(config metadata.Config) accounts.Coming {
	groups := slices.Clone(c.coming.Groups)
	for _, g := range config.Groups {
		groups = append(groups, g.Name)
	}
	for _, u := range config.Users {
		groups = append(groups, u.Name)
	}
	c.coming.Groups = groups
	c.coming.Packages = c.coming.Packages || len(config.Packages) > 0
	return c.coming
}

func (c *changes) forService(config int) services.Changed {
	changed := c.perConfig[config]
	changed.UnitFiles, c.unitFiles = c.unitFiles, false
	return changed
}

// note adds what changed in a step.
func (c *changes) note(s step, items []Item) {
	changed := &c.perConfig[s.number]
	for _, item := range items {
		if !item.trigger {
			continue
		}
		switch s.section {
		case sectionPackages:
			if changed.Packages == nil {
				changed.Packages = map[string][]string{}
			}
			changed.Packages[s.manager] = append(changed.Packages[s.manager], item.Name)
		case sectionGroups:
			changed.Groups = append(changed.Groups, item.Name)
		case sectionUsers:
			changed.Users = append(changed.Users, item.Name)
		case sectionSources:
			changed.Sources = append(changed.Sources, item.Name)
		case sectionFiles:
			changed.Files = append(changed.Files, item.Name)
			c.unitFiles = c.unitFiles || services.UnitFile(item.Name)
		case sectionCommands:
			changed.Commands = append(changed.Commands, item.Name)
		}
	}
}
