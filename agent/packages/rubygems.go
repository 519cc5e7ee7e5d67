package packages

import (
	"context"
	"regexp"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/pattern"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// rubygems is gem. Versions of a gem stand side by side, so each one that is
// asked for is a wish of its own.
type rubygems struct{ *host }

var (
	gemName    = pattern.Lazy{Expr: `^[A-Za-z0-9_][A-Za-z0-9._-]*$`}
	gemVersion = pattern.Lazy{Expr: `^[0-9][A-Za-z0-9.-]*$`}
	// gemRange is a requirement such as "~> 1.2" or ">= 1, < 3".
	gemRange = pattern.Lazy{Expr: `^[ 0-9A-Za-z.,<>=!~-]+$`}
	gemLine  = pattern.Lazy{Expr: `^(\S+) \((.*)\)$`}
)

func (g *rubygems) tools() []string { return []string{"gem"} }

func (g *rubygems) wishes(p metadata.Package) []*wish {
	versions := p.Versions
	if len(versions) == 0 {
		versions = []string{""}
	}
	var wishes []*wish
	for _, v := range versions {
		w := &wish{name: p.Name, target: p.Name, version: v, spec: p.Name}
		switch {
		case !gemName.Regexp().MatchString(p.Name):
			w.err = badName(p.Name)
		case v == "":
		case v[0] == '-' || !gemRange.Regexp().MatchString(v):
			w.err = badVersion(v)
		default:
			w.spec += ":" + v
		}
		wishes = append(wishes, w)
	}
	return wishes
}

func (g *rubygems) look(ctx context.Context, wishes []*wish) error {
	res, err := g.query(ctx, "gem", "list", "--local")
	if err := checked(res, err, "gem"); err != nil {
		return err
	}
	have := parseGems(res.Stdout)
	for _, w := range wishes {
		versions := have[w.target]
		w.here, w.has = false, ""
		switch {
		case len(versions) == 0:
		case w.version == "":
			w.here, w.has = true, versions[0]
		case gemVersion.Regexp().MatchString(w.version):
			for _, v := range versions {
				if sameVersion(v, w.version) {
					w.here, w.has = true, v
				}
			}
		default:
			res, err := g.query(ctx, "gem", "list", "--local", "-i", "-v", w.version, "^"+regexp.QuoteMeta(w.target)+"$")
			if err != nil {
				return err
			}
			if w.here = res.Status == 0; w.here {
				w.has = w.version
			}
		}
	}
	return nil
}

// parseGems reads lines such as "rake (13.0.6, default: 12.3.3)" and
// "nokogiri (1.15.4 x86_64-linux)".
func parseGems(out []byte) map[string][]string {
	have := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		m := gemLine.Regexp().FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		for v := range strings.SplitSeq(m[2], ",") {
			v, _, _ = strings.Cut(strings.TrimPrefix(strings.TrimSpace(v), "default: "), " ")
			if v != "" {
				have[m[1]] = append(have[m[1]], v)
			}
		}
	}
	return have
}

func (g *rubygems) prepare(context.Context, []*wish) error { return nil }

func (g *rubygems) install(ctx context.Context, wishes []*wish, _ bool) (attempt, error) {
	args := append([]string{"gem", "install", "--no-document"}, specs(wishes)...)
	res, err := g.change(ctx, nil, nil, args...)
	return attempt{output: string(res.Stdout), failed: res.Status != 0}, err
}

func (g *rubygems) unavailable() []string { return []string{"Could not find a valid gem '%s'"} }
