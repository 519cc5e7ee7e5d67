package packages

import (
	"context"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/fetch"
	"github.com/cfn-agent/cfn-agent/agent/pattern"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// rpm installs files: the metadata gives the URL or path of each.
type rpm struct{ *host }

// rpmFile is how a package's file is called: name-version-release.arch.rpm.
var rpmFile = pattern.Lazy{Expr: `^([A-Za-z0-9][^/]*)-([^-/]+-[^-/]+)\.([A-Za-z0-9_]+)\.rpm$`}

func (r *rpm) tools() []string { return []string{"rpm"} }

func (r *rpm) wishes(p metadata.Package) []*wish {
	wishes := fileWishes(p)
	for _, w := range wishes {
		// Until it is downloaded its name is all that is known of it.
		if m := rpmFile.Regexp().FindStringSubmatch(fetch.BaseName(w.url)); m != nil {
			w.target, w.version = m[1]+"."+m[3], m[2]
		}
	}
	return wishes
}

// fileWishes are the wishes for an entry of rpm or dpkg: one for each file.
// An entry without a file may itself be one.
func fileWishes(p metadata.Package) []*wish {
	urls := p.Versions
	if len(urls) == 0 && (strings.Contains(p.Name, "://") || strings.HasPrefix(p.Name, "/")) {
		urls = []string{p.Name}
	}
	if len(urls) == 0 {
		return []*wish{{name: p.Name, err: "it needs the URL or path of a package file"}}
	}
	var wishes []*wish
	for _, u := range urls {
		wishes = append(wishes, &wish{name: p.Name, url: u})
	}
	return wishes
}

func (r *rpm) look(ctx context.Context, wishes []*wish) error { return r.lookRPM(ctx, wishes) }

// prepare downloads what is missing, and looks again now that it is known
// which packages the files hold.
func (r *rpm) prepare(ctx context.Context, missing []*wish) error {
	if err := r.download(ctx, missing, ".rpm"); err != nil {
		return err
	}
	for _, w := range open(missing) {
		// Whether its signature must be known is the policy of the system,
		// and a matter of the installation.
		res, err := r.query(ctx, "rpm", "-qp", "--nosignature", "--qf", rpmFormat, "--", w.file)
		found := parseRPM(res.Stdout)
		if err != nil {
			return err
		}
		if res.Status != 0 || len(found) != 1 {
			w.err = "not an rpm package: " + lastError(string(res.Stderr), "")
			continue
		}
		w.target, w.version = found[0].name+"."+found[0].arch, found[0].evr()
	}
	if left := open(missing); len(left) > 0 {
		return r.look(ctx, left)
	}
	return nil
}

// download gets the files of wishes. The error is that of a download during
// which ctx was done.
func (h *host) download(ctx context.Context, wishes []*wish, suffix string) error {
	for _, w := range wishes {
		path, err := h.get(ctx, w.url, suffix)
		if err != nil && ctx.Err() != nil {
			return err
		}
		if err != nil {
			w.err = err.Error()
			continue
		}
		w.file, w.spec = path, path
	}
	return nil
}

func (r *rpm) install(ctx context.Context, wishes []*wish, downgrade bool) (attempt, error) {
	args := []string{"rpm", "-U"}
	if downgrade {
		args = append(args, "--oldpackage")
	}
	res, err := r.change(ctx, nil, nil, append(append(args, "--"), specs(wishes)...)...)
	out := string(res.Stdout)
	return attempt{output: out, failed: res.Status != 0, all: permission(out)}, err
}

func (r *rpm) unavailable() []string { return nil }
