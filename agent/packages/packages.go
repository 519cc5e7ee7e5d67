// Package packages installs what the packages section of a config names, with
// the package manager it names: apt, yum, dnf, zypper, rpm, dpkg, python (pip)
// and rubygems.
//
// It asks the local database first, and what is there already costs no
// network. What is missing is installed in one transaction; when that fails,
// what is available is installed without the rest. A package counts as
// changed when the database has another version after the transaction than
// before it, never because a tool was run.
//
// It configures no repositories, and removes and upgrades nothing that the
// metadata does not ask for.
//
// The form of the section is that of AWS::CloudFormation::Init, which names
// its managers and the meaning of versions.
package packages

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/fetch"
	"github.com/cfn-agent/cfn-agent/agent/nearest"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// A manager is one package manager at work for one set of packages.
type manager interface {
	// tools lists the programs that can install, the preferred one first.
	tools() []string
	// wishes says what an entry of the metadata asks for: one wish, or one
	// for each version or file that is to be there side by side.
	wishes(p metadata.Package) []*wish
	// look asks the local database, and nothing else, which wishes are
	// fulfilled.
	look(ctx context.Context, wishes []*wish) error
	// prepare comes once, before the first install, with what is missing: it
	// may bring lists up to date and download.
	prepare(ctx context.Context, missing []*wish) error
	// install asks for wishes in one transaction.
	install(ctx context.Context, wishes []*wish, downgrade bool) (attempt, error)
	// unavailable has the texts, with %s for a wish's spec, with which the
	// tool says that there is no such package or version.
	unavailable() []string
}

// A wish is one package that is to be there.
type wish struct {
	name    string // key in the metadata
	target  string // name in the local database
	version string // asked for; empty: any
	spec    string // what the tool is asked to install
	url     string // of rpm and dpkg: where the file is
	file    string // of rpm and dpkg: where it was downloaded to
	whole   bool   // only the tool can tell if anything is missing: a group, a pattern
	had     string // version that was installed before
	has     string // version that is installed
	here    bool   // fulfilled
	down    bool   // what was installed is newer than what is asked for
	touched bool   // of a whole wish: the transaction changed something
	note    string // why nothing is to be done, when a version does not say it
	err     string // why it cannot be fulfilled
}

// InRoot is the environment variable that, when it is 1, says that the tools
// in the PATH work on the tree below the root, and not on the running machine.
const InRoot = "CFN_PACKAGES_IN_ROOT"

// An attempt is what came of a transaction.
type attempt struct {
	output string
	failed bool
	all    string // why no other attempt will do better; empty: another may
	cause  string // what went wrong, where the tool has a place for it
	hint   string // what may be behind a package that is not available
}

// Apply installs the packages of one manager, and returns an Outcome for each
// package in the order of the set. What cannot be installed is Degraded, an
// unknown manager too. Files of rpm and dpkg come through c. In a dry run only
// local databases are asked. The error is that of ctx.
//
// The tools are those in the PATH of s.Environ, and change what they are made
// for: the running machine. With another Root than "/" all is Degraded, unless
// InRoot=1 in s.Environ says that the tools in the PATH work on that tree.
func Apply(ctx context.Context, s *sys.System, c *fetch.Client, set metadata.PackageSet) ([]sys.Outcome, error) {
	h := &host{System: s, client: c}
	defer h.close()
	if why := h.refusal(set.Manager); why != "" {
		return refused(set, why), nil
	}
	byName := map[string][]*wish{}
	for _, group := range byVenv(set) {
		wishes, err := h.apply(ctx, group)
		if err != nil {
			return nil, err
		}
		for _, w := range wishes {
			byName[w.name] = append(byName[w.name], w)
		}
	}
	outcomes := make([]sys.Outcome, 0, len(set.Packages))
	for _, p := range set.Packages {
		outcomes = append(outcomes, outcome(p.Name, byName[p.Name], s.DryRun))
	}
	return outcomes, nil
}

func refused(set metadata.PackageSet, why string) []sys.Outcome {
	var outcomes []sys.Outcome
	for _, p := range set.Packages {
		outcomes = append(outcomes, sys.Outcome{Name: p.Name, Degraded: why})
	}
	return outcomes
}

// byVenv splits a set: each virtual environment has a database of its own.
func byVenv(set metadata.PackageSet) []metadata.PackageSet {
	var groups []metadata.PackageSet
	for _, p := range set.Packages {
		i := slices.IndexFunc(groups, func(g metadata.PackageSet) bool { return g.Packages[0].Venv == p.Venv })
		if i < 0 {
			i = len(groups)
			groups = append(groups, metadata.PackageSet{Manager: set.Manager})
		}
		groups[i].Packages = append(groups[i].Packages, p)
	}
	return groups
}

// managers lists the names that manager knows.
var managers = [...]string{"apt", "dnf", "dpkg", "python", "rpm", "rubygems", "yum", "zypper"}

// manager returns the manager of a name, nil when there is none.
func (h *host) manager(name, venv string) manager {
	switch name {
	case "apt":
		return &apt{host: h}
	case "dpkg":
		return &dpkg{apt: apt{host: h}}
	case "dnf", "yum":
		return &yum{host: h, preferred: name}
	case "zypper":
		return &zypper{host: h}
	case "rpm":
		return &rpm{host: h}
	case "python":
		return &python{host: h, venv: venv}
	case "rubygems":
		return &rubygems{host: h}
	}
	return nil
}

// refusal is why no package of a manager can be installed, empty when they can.
func (h *host) refusal(name string) string {
	if h.manager(name, "") == nil {
		text := fmt.Sprintf("unknown package manager %q", name)
		if near := nearest.Word(name, managers[:], 2); near != "" {
			text += ": did you mean " + near + "?"
		}
		return text + " (known are " + strings.Join(managers[:], ", ") + ")"
	}
	if !h.Real() && h.Getenv(InRoot) != "1" {
		return "packages are those of the running machine, not of the tree below " + h.Root + ": not installed"
	}
	return ""
}

// apply fulfils the wishes of one database as far as it can.
func (h *host) apply(ctx context.Context, set metadata.PackageSet) ([]*wish, error) {
	var wishes []*wish
	m := h.manager(set.Manager, set.Packages[0].Venv)
	for _, p := range set.Packages {
		wishes = append(wishes, m.wishes(p)...)
	}
	valid := open(wishes)
	if len(valid) == 0 {
		return wishes, nil
	}
	if _, err := h.find(m.tools()...); err != nil {
		fail(valid, err.Error())
		return wishes, nil
	}
	err := m.look(ctx, valid)
	for _, w := range wishes {
		w.had = w.has
	}
	if missing := open(valid); err == nil && len(missing) > 0 && !h.DryRun {
		err = h.fulfil(ctx, m, missing)
	}
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(err, cause) {
			return nil, err // with what was waited for
		}
		return nil, cause
	}
	if err != nil {
		fail(open(valid), err.Error())
	}
	return wishes, nil
}

// open returns the wishes that are neither fulfilled nor given up.
func open(wishes []*wish) []*wish {
	var left []*wish
	for _, w := range wishes {
		if !w.here && w.err == "" {
			left = append(left, w)
		}
	}
	return left
}

func fail(wishes []*wish, reason string) {
	for _, w := range wishes {
		w.err = reason
	}
}

// outcome is what became of one entry of the metadata, which may be several
// wishes.
func outcome(name string, wishes []*wish, dry bool) sys.Outcome {
	o := sys.Outcome{Name: name}
	var actions, skipped, degraded []string
	for _, w := range wishes {
		switch {
		case w.err != "":
			degraded = append(degraded, w.failure())
		case dry && w.whole:
			skipped = append(skipped, "only the package manager can tell what is missing, and it would ask its repositories")
		case dry && !w.here:
			_, pin := pinned(w)
			actions = append(actions, w.action(cmp.Or(w.version, pin)))
		case w.touched || w.had != w.has:
			actions = append(actions, w.action(w.has))
		case w.note != "":
			skipped = append(skipped, w.note)
		case w.has != "":
			skipped = append(skipped, w.has+" is installed")
		default:
			skipped = append(skipped, "nothing is missing")
		}
	}
	o.Changed, o.Trigger = len(actions) > 0, len(actions) > 0
	o.Action = strings.Join(actions, ", ")
	o.Degraded = strings.Join(degraded, "; ")
	if len(actions)+len(degraded) == 0 {
		o.Skipped = strings.Join(slices.Compact(skipped), "; ")
	}
	return o
}

func (w *wish) action(version string) string {
	switch {
	case w.had == "":
		return strings.TrimSpace("install " + version)
	case w.down:
		return "downgrade " + w.had + " to " + version
	}
	return "upgrade " + w.had + " to " + version
}

func (w *wish) failure() string {
	what := shown(w.name)
	switch {
	case w.url != "" && w.url != w.name:
		what += " from " + fetch.Shown(w.url)
	case w.version != "":
		what += " " + w.version
	}
	if w.has != "" {
		what += " (" + w.has + " is installed)"
	}
	return "cannot install " + what + ": " + w.err
}

// dir is a directory that only root can read, made when first asked for.
func (h *host) dir() (string, error) {
	if h.tmp != "" {
		return h.tmp, nil
	}
	tmp, err := os.MkdirTemp("", "cfn-packages-")
	h.tmp = tmp
	return tmp, err
}

func (h *host) close() {
	if h.tmp == "" {
		return
	}
	if err := os.RemoveAll(h.tmp); err != nil {
		h.Log.Warn("temporary directory not removed", "path", h.tmp, "err", err)
	}
}
