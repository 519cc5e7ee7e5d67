package packages

import (
	"context"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/pattern"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// apt is apt-get, with the dpkg database.
type apt struct {
	*host
	updated bool   // apt-get update has run, or need not
	trouble string // what it complained of
}

// aptName is a name, with or without architecture and release. It does not
// end in a minus, with which apt-get would remove the package.
var (
	aptName    = pattern.Lazy{Expr: `^[A-Za-z0-9][A-Za-z0-9+._-]*[A-Za-z0-9+](:[a-z0-9-]+)?(/[A-Za-z0-9._-]+)?$`}
	debVersion = pattern.Lazy{Expr: `^[A-Za-z0-9][A-Za-z0-9.+:~_-]*$`}
	// staleIndex finds what newer lists may mend; unmet dependencies too, of
	// a package file on a machine that has no lists yet.
	staleIndex = pattern.Lazy{Expr: `404 +Not Found|Hash Sum mismatch|File has unexpected size|have unmet dependencies`}
)

// aptOptions make apt-get wait for the lock, keep what an administrator or an
// earlier step wrote into configuration files, and take a name for a name and
// not for a regular expression: python3.1 would install python3.10 and more.
var aptOptions = []string{
	"-q", "-y", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Options::=--force-confdef",
	"-o", "Dpkg::Options::=--force-confold", "-o", "APT::Cmd::Pattern-Only=true",
}

// aptEnv is added to the environment, which is kept: without PATH, proxies
// and locale apt-get and the scripts of packages do not work.
var aptEnv = []string{
	"DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_MODE=a", "APT_LISTCHANGES_FRONTEND=none", "UCF_FORCE_CONFFOLD=1",
}

func (a *apt) tools() []string { return []string{"apt-get"} }

// wishes takes the last of several versions: only one can be installed, and
// asked for one after the other it is the last that stays.
func (a *apt) wishes(p metadata.Package) []*wish {
	w := &wish{name: p.Name, target: p.Name}
	if n := len(p.Versions); n > 0 {
		w.version = p.Versions[n-1]
	} else {
		w.target, w.version = equalSign(p.Name)
	}
	switch {
	case !aptName.Regexp().MatchString(w.target):
		w.err = badName(p.Name)
	case w.version != "" && !debVersion.Regexp().MatchString(w.version):
		w.err = badVersion(w.version)
	}
	w.spec = w.target
	w.target, _, _ = strings.Cut(w.target, "/")
	if w.version != "" {
		w.spec = w.target + "=" + w.version
	}
	return []*wish{w}
}

func (a *apt) look(ctx context.Context, wishes []*wish) error {
	d, err := a.installedDebs(ctx)
	if err != nil {
		return err
	}
	for _, w := range wishes {
		a.judgeDeb(w, d)
	}
	return nil
}

// prepare brings the lists up to date and finds the whole versions of those
// that are asked for.
func (a *apt) prepare(ctx context.Context, missing []*wish) error {
	lists := a.lists(ctx)
	if lists.stale() {
		if err := a.update(ctx, lists); err != nil {
			return err
		}
	}
	a.updated = a.updated || lists.justUpdated()
	unknown, err := a.resolve(ctx, missing)
	if err != nil {
		return err
	}
	if len(unknown) > 0 && !a.updated {
		if err := a.update(ctx, lists); err != nil {
			return err
		}
		_, err = a.resolve(ctx, unknown)
	}
	return err
}

// resolve finds the version that fits what is asked for, and returns the
// wishes that none fits: apt-get says why.
func (a *apt) resolve(ctx context.Context, missing []*wish) (unknown []*wish, err error) {
	args := []string{"apt-cache", "-q", "madison"}
	var asked []*wish
	for _, w := range missing {
		if w.version != "" {
			asked, args = append(asked, w), append(args, w.target)
		}
	}
	if len(asked) == 0 {
		return nil, nil
	}
	res, err := a.query(ctx, args...)
	if err != nil {
		return nil, err
	}
	available := parseMadison(res.Stdout)
	for _, w := range asked {
		name, _, _ := strings.Cut(w.target, ":")
		version, fit := bestDeb(w.version, available[name])
		switch fit {
		case noFit:
			unknown = append(unknown, w)
			continue
		case prefixFit:
			a.Log.Warn("version taken by its beginning", "name", w.name, "asked", w.version, "version", version)
		}
		w.spec = w.target + "=" + version
		w.down = w.has != "" && compareDeb(version, w.has) < 0
	}
	return unknown, nil
}

// parseMadison reads lines such as " hello | 2.10-2 | http://host suite/main
// amd64 Packages" into the versions of each package.
func parseMadison(out []byte) map[string][]string {
	versions := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(line, "|")
		if len(f) != 3 || strings.HasSuffix(strings.TrimSpace(f[2]), "Sources") {
			continue
		}
		name := strings.TrimSpace(f[0])
		versions[name] = append(versions[name], strings.TrimSpace(f[1]))
	}
	return versions
}

// install updates the lists once when what they say turns out to be old.
func (a *apt) install(ctx context.Context, wishes []*wish, downgrade bool) (attempt, error) {
	at, err := a.transaction(ctx, specs(wishes), downgrade)
	if err == nil && at.failed && at.all == "" && !a.updated && a.outdated(at, wishes) {
		lists := a.lists(ctx)
		if a.updated = lists.justUpdated(); a.updated {
			return at, nil
		}
		if err := a.update(ctx, lists); err != nil {
			return at, err
		}
		at, err = a.transaction(ctx, specs(wishes), downgrade)
	}
	if a.trouble != "" {
		at.hint = "apt-get update: " + a.trouble
	}
	return at, err
}

// outdated says that an attempt failed for want of newer lists.
func (a *apt) outdated(at attempt, wishes []*wish) bool {
	for _, w := range wishes {
		if missing(a, at, w) != "" {
			return true
		}
	}
	return staleIndex.Regexp().MatchString(at.output)
}

func (a *apt) transaction(ctx context.Context, specs []string, downgrade bool) (attempt, error) {
	args := append(append([]string{"apt-get"}, aptOptions...), "install")
	if downgrade {
		args = append(args, "--allow-downgrades")
	}
	res, err := a.change(ctx, aptEnv, nil, append(append(args, "--"), specs...)...)
	out := string(res.Stdout)
	return attempt{output: out, failed: res.Status != 0, all: permission(out)}, err
}

func (a *apt) unavailable() []string {
	return []string{
		"Unable to locate package %s", "for '%s' was not found", "Package '%s' has no installation candidate",
	}
}
