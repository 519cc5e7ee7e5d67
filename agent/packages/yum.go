package packages

import (
	"context"

	"github.com/cfn-agent/cfn-agent/agent/pattern"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// yum is yum, dnf and microdnf, whichever is there: the metadata of a
// template outlives the name that its distribution gave to the tool.
type yum struct {
	*host
	preferred string
}

// noRepository is said when the repositories can't be read: then no package
// can be installed, and each attempt would wait for the network again.
var noRepository = pattern.Lazy{Expr: `Failed to download metadata for repo|Cannot find a valid baseurl for repo|` +
	`Cannot retrieve (repository metadata|metalink)|There are no enabled repo|cannot update repo`}

func (y *yum) tools() []string {
	if y.preferred == "dnf" {
		return []string{"dnf", "dnf5", "yum", "microdnf"}
	}
	return []string{"yum", "dnf", "dnf5", "microdnf"}
}

func (y *yum) wishes(p metadata.Package) []*wish {
	return []*wish{rpmWish(p, func(name, version string) string {
		if version == "" {
			return name
		}
		// Only dnf knows name-epoch:version without an architecture.
		if tool, err := y.find(y.tools()...); err == nil && tool == "yum" {
			_, version, _ = cutEpoch(version)
		}
		return name + "-" + version
	})}
}

func (y *yum) look(ctx context.Context, wishes []*wish) error { return y.lookRPM(ctx, wishes) }

func (y *yum) prepare(context.Context, []*wish) error { return nil }

// install needs no wait for the lock: yum and dnf wait by themselves.
func (y *yum) install(ctx context.Context, wishes []*wish, downgrade bool) (attempt, error) {
	tool, err := y.find(y.tools()...)
	if err != nil {
		return attempt{}, err
	}
	args := []string{tool, "-y", "install"}
	switch {
	case downgrade:
		args[2] = "downgrade"
	case tool == "dnf" || tool == "dnf5":
		// As heat-cfntools does: the newest or nothing.
		args = append(args, "--best")
	}
	res, err := y.transact(ctx, wishes, nil, append(args, specs(wishes)...)...)
	out := string(res.Stdout)
	a := attempt{output: out, failed: res.Status != 0, all: permission(out)}
	if a.failed && noRepository.Regexp().MatchString(out) {
		a.all = "no repository could be read: " + lastError(out, "")
	}
	return a, err
}

func (y *yum) unavailable() []string {
	return []string{
		"No match for argument: %s", "No package %s available", "No package matches '%s'",
		"No Match for argument: %s", "No packages available for downgrade: %s",
	}
}
