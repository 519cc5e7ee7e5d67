package packages

import (
	"context"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/pattern"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// rpmFormat is what rpm prints of a package, see parseRPM.
const rpmFormat = `%{NAME}\t%{EPOCH}\t%{VERSION}\t%{RELEASE}\t%{ARCH}\n`

// rpmName has the characters of names, name-version, capabilities, paths,
// groups and patterns: nothing that a tool takes for an option.
var (
	rpmName    = pattern.Lazy{Expr: `^[A-Za-z0-9@/_(*?\[][A-Za-z0-9@/_.+~^:()%*?\[\]=<>,-]*$`}
	rpmVersion = pattern.Lazy{Expr: `^[A-Za-z0-9][A-Za-z0-9._+~^:-]*$`}
	rpmPattern = pattern.Lazy{Expr: `^@|^(pattern|product|patch|srcpackage):|[*?\[\]<>=]|://|\.rpm$`}
	rpmPinned  = pattern.Lazy{Expr: `^(.+?)-(\d[^-]*(?:-[^-]+)?)$`}
)

// rpmPackage is a package of the rpm database.
type rpmPackage struct{ name, epoch, version, release, arch string }

// evr is how the version is written: epoch:version-release, without an epoch
// that is not there or 0.
func (p rpmPackage) evr() string {
	evr := p.version + "-" + p.release
	if p.epoch != "" && p.epoch != "0" {
		evr = p.epoch + ":" + evr
	}
	return evr
}

// is says that the package has a name as yum and dnf take it: name, with or
// without version, release, architecture and epoch.
func (p rpmPackage) is(name string) bool {
	name = strings.TrimSuffix(name, "."+p.arch)
	if epoch, rest, ok := strings.Cut(name, ":"); ok && epoch == p.epoch {
		name = rest
	}
	nv := p.name + "-" + p.version
	return name == p.name || name == nv || name == nv+"-"+p.release ||
		name == p.name+"-"+p.epoch+":"+p.version || name == p.name+"-"+p.epoch+":"+p.version+"-"+p.release
}

// parseRPM reads lines in rpmFormat; others, such as "package x is not
// installed", are passed over.
func parseRPM(out []byte) []rpmPackage {
	var found []rpmPackage
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) != 5 {
			continue
		}
		if f[1] == "(none)" {
			f[1] = ""
		}
		found = append(found, rpmPackage{f[0], f[1], f[2], f[3], f[4]})
	}
	return found
}

// compareRPM compares a version that is asked for with one that is installed,
// in rpm's order. What the asked one leaves out, the epoch or the release,
// does not count.
func compareRPM(asked, installed string) int {
	_, rest, hasEpoch := cutEpoch(asked)
	if !hasEpoch {
		_, installed, _ = cutEpoch(installed)
	}
	if !strings.Contains(rest, "-") {
		installed, _, _ = strings.Cut(installed, "-")
	}
	return orderRPM(asked, installed)
}

func cutEpoch(version string) (epoch, rest string, ok bool) {
	if epoch, rest, ok = strings.Cut(version, ":"); ok {
		return epoch, rest, true
	}
	return "0", version, false
}

// highestRPM is the highest of some versions, empty of none.
func highestRPM(versions []string) string {
	highest := ""
	for _, v := range versions {
		if highest == "" || orderRPM(v, highest) > 0 {
			highest = v
		}
	}
	return highest
}

// rpmWish is the wish for an entry of yum, dnf or zypper.
func rpmWish(p metadata.Package, spec func(name, version string) string) *wish {
	w := &wish{name: p.Name, target: p.Name, version: highestRPM(p.Versions)}
	if !rpmName.Regexp().MatchString(p.Name) {
		w.err = badName(p.Name)
		return w
	}
	for _, v := range p.Versions {
		if !rpmVersion.Regexp().MatchString(v) {
			w.err = badVersion(v)
			return w
		}
	}
	w.spec = spec(w.target, w.version)
	w.whole = w.version == "" && rpmPattern.Regexp().MatchString(w.target)
	return w
}

// lookRPM asks the rpm database for wishes, all with one call; a second kind
// of call finds out who provides what is not the name of a package.
func (h *host) lookRPM(ctx context.Context, wishes []*wish) error {
	args := []string{"rpm", "-q", "--qf", rpmFormat, "--"}
	first := len(args)
	for _, w := range wishes {
		if w.whole || w.target == "" {
			continue
		}
		if !strings.ContainsAny(w.target, "/(") {
			args = append(args, w.target)
		}
		if name, _ := pinned(w); name != "" {
			args = append(args, name)
		}
	}
	var found []rpmPackage
	if len(args) > first {
		res, err := h.query(ctx, args...)
		if err != nil {
			return err
		}
		// Its status counts what is not installed, and that goes to stdout.
		if len(res.Stdout) == 0 && res.Status != 0 {
			return res.Check("rpm", nil)
		}
		found = parseRPM(res.Stdout)
	}
	for _, w := range wishes {
		if w.whole || w.target == "" {
			continue
		}
		if err := h.judgeRPM(ctx, w, found); err != nil {
			return err
		}
	}
	return nil
}

// pinned splits a name that may have a version in it, as in httpd-2.4.57.
func pinned(w *wish) (name, version string) {
	if m := rpmPinned.Regexp().FindStringSubmatch(w.target); m != nil && w.version == "" && w.url == "" {
		return m[1], m[2]
	}
	return "", ""
}

// judgeRPM decides about a wish by the packages that are installed.
func (h *host) judgeRPM(ctx context.Context, w *wish, found []rpmPackage) error {
	w.here, w.has = false, ""
	for _, p := range found {
		if !p.is(w.target) || w.here {
			continue
		}
		if w.has == "" || orderRPM(p.evr(), w.has) > 0 {
			w.has = p.evr()
		}
		if w.version == "" || compareRPM(w.version, p.evr()) == 0 {
			w.here, w.has = true, p.evr()
		}
	}
	if w.has != "" {
		w.down = w.down || !w.here && compareRPM(w.version, w.has) < 0
		return nil
	}
	if name, version := pinned(w); name != "" {
		for _, p := range found {
			if p.name == name && p.evr() != w.has {
				w.has, w.down = p.evr(), compareRPM(version, p.evr()) < 0
			}
		}
	}
	if w.has != "" || w.version != "" || w.url != "" {
		return nil
	}
	res, err := h.query(ctx, "rpm", "-q", "--whatprovides", "--qf", rpmFormat, "--", w.target)
	if err != nil {
		return err
	}
	if p := parseRPM(res.Stdout); res.Status == 0 && len(p) > 0 {
		w.here, w.has = true, p[0].evr()
		if p[0].name != w.target {
			w.note = p[0].name + " " + w.has + " provides it"
		}
	}
	return nil
}

// snapshot is all that is installed, to see if a transaction for a whole wish
// changed anything.
func (h *host) snapshot(ctx context.Context, wishes []*wish) (string, error) {
	if len(wishes) != 1 || !wishes[0].whole {
		return "", nil
	}
	res, err := h.query(ctx, "rpm", "-qa", "--qf", rpmFormat)
	return string(res.Stdout), checked(res, err, "rpm")
}

// transact runs one transaction of a tool with the rpm database.
func (h *host) transact(ctx context.Context, wishes []*wish, locked func(sys.Result) bool, args ...string) (sys.Result, error) {
	before, err := h.snapshot(ctx, wishes)
	if err != nil {
		return sys.Result{}, err
	}
	res, err := h.change(ctx, nil, locked, args...)
	if err != nil {
		return res, err
	}
	after, err := h.snapshot(ctx, wishes)
	for _, w := range wishes {
		w.touched = w.touched || before != after
	}
	return res, err
}

func specs(wishes []*wish) []string {
	var list []string
	for _, w := range wishes {
		list = append(list, w.spec)
	}
	return list
}

// permission is said when the agent does not run as root.
func permission(output string) string {
	for _, text := range []string{"are you root?", "superuser privileges", "Root privileges are required", "requires superuser"} {
		if strings.Contains(output, text) {
			return "packages can be installed by root only"
		}
	}
	return ""
}
