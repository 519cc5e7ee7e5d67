// Package services brings the services of a config to the state it asks for:
// started at boot or not, running or not, restarted when something they
// depend on changed; and looks again whether they stay up.
//
// It talks to systemd over D-Bus, by systemctl where D-Bus does not answer,
// and to System V init scripts by command. It does not decide what changed.
//
// The keys are those of "services" in the AWS CloudFormation User Guide,
// AWS::CloudFormation::Init.
package services

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// Changed is what changed earlier in the same config, by the keys of its
// sections. UnitFiles says that systemd has not yet been told to read its
// files again since one of them changed, in whichever config: Apply tells
// it, so that the caller clears it after the first service.
type Changed struct {
	Files, Sources, Commands, Groups, Users []string
	Packages                                map[string][]string // manager to names
	UnitFiles                               bool
}

// UnitFile says that systemd reads a file when it loads its units: a change
// to it wants Changed.UnitFiles.
func UnitFile(path string) bool {
	path = filepath.Clean(path)
	for _, dir := range []string{
		"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system",
		"/etc/init.d", // systemd-sysv-generator(8)
	} {
		if strings.HasPrefix(path, dir+"/") {
			return true
		}
	}
	return false
}

// answerLimit bounds one service: what takes longest is two starts and a
// stop of a unit with systemd's default time limits.
const answerLimit = 10 * time.Minute

var errNoAnswer = errors.New("the service manager does not answer")

// Apply brings one service of a manager ("systemd" or "sysvinit"; on a
// machine with systemd they are the same) to its state. Enabling comes first.
// When something that the service names has changed it is restarted, or only
// reloaded where it can be when nothing but files changed; unless it is not to
// run: then it is stopped. What cannot be done makes the outcome degraded and
// keeps nothing else from being done. The error is that of ctx.
func Apply(ctx context.Context, s *sys.System, manager string, svc metadata.Service, changed Changed) (sys.Outcome, error) {
	out := sys.Outcome{Name: svc.Name}
	limited, cancel := context.WithTimeoutCause(ctx, answerLimit, errNoAnswer)
	defer cancel()
	m, err := open(limited, s, manager, svc.Name)
	if err == nil {
		defer m.close()
		j := &job{System: s, manager: m, pace: realPace, service: svc, unit: m.unit(svc.Name), out: out}
		out = j.apply(limited, changed)
	}
	if ctx.Err() != nil {
		return out, context.Cause(ctx)
	}
	if err != nil {
		out.Degraded = err.Error()
	}
	return out, nil
}

// causes lists what changed of what a service names, in the form section
// "name". Reload says that reading its configuration again will do: all of it
// is files, none of them a unit's. A package or an archive brings a new
// program, and what a command, a group or a user changed is not known.
func causes(svc metadata.Service, c Changed) (list []string, reload bool) {
	reload = true
	add := func(section string, wanted, changed []string) {
		for _, name := range wanted {
			if slices.ContainsFunc(changed, func(c string) bool { return same(c, name) }) {
				list = append(list, fmt.Sprintf("%s %q", section, name))
				reload = reload && section == "files" && !UnitFile(name)
			}
		}
	}
	managers := make([]string, 0, len(svc.Packages))
	for manager := range svc.Packages {
		managers = append(managers, manager)
	}
	slices.Sort(managers)
	for _, manager := range managers {
		add("packages", svc.Packages[manager], c.Packages[manager])
	}
	add("groups", svc.Groups, c.Groups)
	add("users", svc.Users, c.Users)
	add("sources", svc.Sources, c.Sources)
	add("files", svc.Files, c.Files)
	add("commands", svc.Commands, c.Commands)
	return list, reload && len(list) > 0
}

// same compares two names; paths may be written in several ways.
func same(a, b string) bool {
	return a == b || filepath.IsAbs(a) && filepath.Clean(a) == filepath.Clean(b)
}
