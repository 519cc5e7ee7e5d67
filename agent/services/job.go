package services

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/nearest"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// A job brings one unit to its state.
type job struct {
	*sys.System
	manager
	pace
	service metadata.Service
	unit    string
	out     sys.Outcome
}

// apply does the steps in their order and returns what became of them.
func (j *job) apply(ctx context.Context, changed Changed) sys.Outcome {
	if changed.UnitFiles && !j.DryRun {
		if err := j.reload(ctx); err != nil {
			j.problem("the units were not read again: %v", err)
		}
	}
	because, reload := causes(j.service, changed)
	if j.service.Enabled == nil && j.service.EnsureRunning == nil && len(because) == 0 {
		return j.out
	}
	st, ok := j.look(ctx)
	if !ok {
		return j.out
	}
	if j.service.Enabled != nil {
		j.setEnabled(ctx, st, *j.service.Enabled)
	}
	switch run := j.service.EnsureRunning; {
	case st.offline:
		j.offline(run != nil || len(because) > 0)
	case run != nil && !*run:
		j.halt(ctx, st, because)
	case len(because) > 0:
		v := restart
		if reload {
			v = reloadOrRestart
		}
		j.out.Causes = because
		j.act(ctx, st, v)
	case run != nil:
		j.ensure(ctx, st)
	}
	if !st.known {
		j.notYet()
	}
	return j.out
}

// look asks what the unit is. It is false when that ends the matter: there is
// no such unit, or it is masked and may not do what is asked of it.
func (j *job) look(ctx context.Context) (status, bool) {
	st, err := j.status(ctx, j.unit)
	if err == nil && !j.DryRun && !st.offline && (!st.known || st.stale) {
		// A package or an archive may have brought the unit's file.
		if err = j.reload(ctx); err == nil {
			st, err = j.status(ctx, j.unit)
		}
	}
	on := func(b *bool) bool { return b != nil && *b }
	switch {
	case err != nil:
		j.problem("%s: %v", j.unit, err)
		return st, false
	case !st.known && j.DryRun:
		// An earlier item of the same run may bring it.
		return status{active: "inactive", enabled: "disabled", offline: st.offline}, true
	case !st.known:
		j.problem("%s", j.unknown(ctx))
		return st, false
	case st.masked && (on(j.service.Enabled) || j.service.EnsureRunning == nil || on(j.service.EnsureRunning)):
		j.problem(`%s is masked, so that it can be neither enabled nor started: run "systemctl unmask %s" first, or take it out of the metadata`, j.unit, j.unit)
		return st, false
	}
	return st, true
}

// unknown says that there is no such unit, and which ones have such a name.
func (j *job) unknown(ctx context.Context) string {
	text := "there is no unit " + j.unit
	names, err := j.names(ctx)
	if err != nil {
		return text
	}
	// Of its own kind alone: a socket is not meant by the name of a service.
	kind := filepath.Ext(j.unit)
	names = slices.DeleteFunc(names, func(name string) bool { return filepath.Ext(name) != kind })
	for i := range names {
		names[i] = strings.TrimSuffix(names[i], kind)
	}
	near := nearest.Words(strings.TrimSuffix(j.unit, kind), names, 3)
	if len(near) == 0 {
		return text + ": is its package installed?"
	}
	return text + "; names near it: " + strings.Join(near, kind+", ") + kind
}

// setEnabled makes the unit start at boot, or not.
func (j *job) setEnabled(ctx context.Context, st status, on bool) {
	word, unit := "disable", j.unit
	if on {
		word = "enable"
	}
	switch st.enabled {
	case "enabled", "enabled-runtime":
		if on && st.enabled == "enabled" {
			return
		}
		if st.id != "" {
			unit = st.id
		}
	case "static", "generated", "transient", "alias":
		if on {
			j.problem("%s cannot be enabled: it is %s%s", j.unit, st.enabled, whyNot(st))
		}
		return
	default: // disabled, or linked or indirect: those may be enabled in ways that one word does not tell
		if !on {
			return
		}
	}
	if j.DryRun {
		j.done(word)
		return
	}
	changed, err := j.enable(ctx, unit, on)
	if err != nil {
		j.problem("%s %s: %v", word, unit, err)
	} else if changed {
		j.done(word)
	}
}

func whyNot(st status) string {
	switch st.enabled {
	case "static":
		return ", without an [Install] section: something else starts it"
	case "alias":
		if st.id != "" {
			return ", another name of " + st.id
		}
	case "generated":
		return ": what it is generated from says when it starts"
	}
	return ""
}

// offline tells that nothing can be started in a tree that is not running.
func (j *job) offline(asked bool) {
	if asked && !j.out.Changed {
		j.out.Skipped = "nothing runs here: the service can only be enabled"
	}
}

// notYet tells, in a dry run, of a unit that an earlier item must bring.
func (j *job) notYet() {
	text := "there is no unit " + j.unit + " yet"
	switch {
	case j.out.Changed:
		j.out.Action += " (" + text + ")"
	case j.out.Skipped != "":
		j.out.Skipped = text + "; " + j.out.Skipped
	default:
		j.out.Skipped = text
	}
}

func (j *job) done(what string) {
	if j.out.Action != "" {
		what = j.out.Action + ", " + what
	}
	j.out.Action, j.out.Changed = what, true
}

func (j *job) problem(format string, args ...any) {
	text := j.Mask.String(fmt.Sprintf(format, args...))
	if j.out.Degraded != "" {
		text = j.out.Degraded + "; " + text
	}
	j.out.Degraded = text
}
