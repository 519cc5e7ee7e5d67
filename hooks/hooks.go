// Package hooks reads the configuration of cfn-hup, which is cfn-hup.conf,
// hooks.conf and the files of hooks.d, and says which hooks an event is for.
// It runs nothing.
//
// The files are those of heat-cfntools and of the AWS CloudFormation User
// Guide, "cfn-hup", read by the rules of Python's configparser as both tools
// read them.
package hooks

import (
	"slices"
	"time"
)

// The names of events, as the triggers of a hook spell them.
const (
	Added            = "post.add"          // a value is there that was not
	Updated          = "post.update"       // a value is another one
	Removed          = "post.remove"       // a value is gone
	ServiceRestarted = "service.restarted" // a service that is to run was found down
)

// DefaultInterval is the time between two passes when the file has none: that
// of heat-cfntools.
const DefaultInterval = 10 * time.Minute

// DefaultTimeout is how long an action may take when its hook says nothing.
const DefaultTimeout = time.Hour

// defaultUmask is that of aws-cfn-bootstrap.
const defaultUmask = 0o022

// A Config is what the files say.
type Config struct {
	Stack, Region, URL, Role string
	CredentialFile           string        // empty: the default one
	Interval                 time.Duration // between two passes
	Umask                    int           // of actions
	Verbose                  bool
	Hooks                    []Hook // in the order of the files

	// Problems are what is wrong with the files, each in one line: sections
	// that are no hook and were skipped, files that are none of ours. The
	// rest holds.
	Problems []error
}

// A Hook is something to run when an event happens.
type Hook struct {
	Name     string
	Path     string // as written
	Target   Target // what Path means
	RunAs    string // user; empty: the one that this program runs as
	Action   string // a line for /bin/sh -c
	Triggers []string
	Timeout  time.Duration // limit of the action
}

// An Event is something that happened to a resource. Object is what it
// happened to: for service.restarted the service, for the others the path of
// the value, as the hooks write it.
type Event struct{ Name, Resource, Object string }

// Match returns the hooks that an event is for, in their order: those with
// its name among their triggers, whose path names its resource and, for an
// event about a value, is its path. heat-cfntools looked for the name within
// the text of the triggers, so that post.update fired post.updatefoo.
func Match(list []Hook, e Event) []Hook {
	var matched []Hook
	for _, h := range list {
		if h.Matches(e) {
			matched = append(matched, h)
		}
	}
	return matched
}

// Matches says whether an event is for the hook; see Match.
func (h Hook) Matches(e Event) bool {
	return slices.Contains(h.Triggers, e.Name) && h.Target.Resource == e.Resource &&
		(e.Name == ServiceRestarted || h.Path == e.Object)
}

// Resources returns the resources that hooks name, each once, in the order of
// the hooks.
func Resources(list []Hook) []string {
	var ids []string
	for _, h := range list {
		if !slices.Contains(ids, h.Target.Resource) {
			ids = append(ids, h.Target.Resource)
		}
	}
	return ids
}
