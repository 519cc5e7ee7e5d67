package packages

import (
	"context"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// zypper is the tool of SUSE; the database is rpm's.
type zypper struct{ *host }

// zypperLocked and the other statuses are those of zypper(8), EXIT CODES.
const (
	zypperNoRepositories = 6
	zypperLocked         = 7
	zypperReboot         = 102 // done, and a reboot is needed
	zypperRestart        = 103 // done, and zypper itself is new
	zypperSkipped        = 106 // done, without a repository that can't be read
)

func (z *zypper) tools() []string { return []string{"zypper"} }

func (z *zypper) wishes(p metadata.Package) []*wish {
	key := p.Name
	if name, version := equalSign(p.Name); version != "" && len(p.Versions) == 0 {
		p.Name, p.Versions = name, []string{version}
	}
	w := rpmWish(p, func(name, version string) string {
		if version == "" {
			return name
		}
		return name + "=" + version
	})
	w.name = key
	return []*wish{w}
}

func (z *zypper) look(ctx context.Context, wishes []*wish) error { return z.lookRPM(ctx, wishes) }

func (z *zypper) prepare(context.Context, []*wish) error { return nil }

func (z *zypper) install(ctx context.Context, wishes []*wish, downgrade bool) (attempt, error) {
	args := []string{"zypper", "-n", "install", "--auto-agree-with-licenses"}
	if downgrade {
		args = append(args, "--oldpackage")
	}
	args = append(append(args, "--"), specs(wishes)...)
	locked := func(r sys.Result) bool { return r.Status == zypperLocked }
	res, err := z.transact(ctx, wishes, locked, args...)
	out := string(res.Stdout)
	a := attempt{output: out, failed: true, all: permission(out)}
	switch res.Status {
	case 0:
		a.failed = false
	case zypperReboot, zypperRestart, zypperSkipped:
		a.failed = false
		z.Log.Info("zypper has a note", "status", res.Status, "output", z.Mask.String(tail(res.Stdout)))
	case zypperNoRepositories:
		a.all = "zypper has no repositories"
	case zypperLocked:
		a.all = lastError(out, "")
	}
	return a, err
}

func (z *zypper) unavailable() []string {
	return []string{"No provider of '%s' found", "Package '%s' not found"}
}

// equalSign splits name=version, a form that zypper and apt-get take; the
// version is empty when the name has none.
func equalSign(name string) (target, version string) {
	before, after, _ := strings.Cut(name, "=")
	if before == "" || after == "" || strings.ContainsAny(before+after, "<>=") {
		return name, ""
	}
	return before, after
}
