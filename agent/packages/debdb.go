package packages

import (
	"context"
	"strings"
)

// debFormat is what dpkg-query prints of a package. The last word of its
// status is asked for, since a package whose script failed is known to the
// database without being installed.
const debFormat = `${Status}\t${Package}\t${Architecture}\t${Version}\t${Provides}\n`

// debs are the installed packages of the dpkg database.
type debs struct {
	versions map[string][]string  // by name and by name:arch
	provider map[string][2]string // name and version of a package that provides a virtual one
}

// installedDebs asks for the whole database with one call: no name of the
// metadata gets onto its command line, where dpkg-query takes patterns.
func (h *host) installedDebs(ctx context.Context) (debs, error) {
	res, err := h.query(ctx, "dpkg-query", "-W", "-f", debFormat)
	if err := checked(res, err, "dpkg-query"); err != nil {
		// With no package at all it fails, with an empty answer.
		if res.Status != 1 || !strings.Contains(string(res.Stderr), "no packages found") {
			return debs{}, err
		}
	}
	return parseDebs(res.Stdout), nil
}

// parseDebs reads lines in debFormat.
func parseDebs(out []byte) debs {
	d := debs{versions: map[string][]string{}, provider: map[string][2]string{}}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) != 5 || !strings.HasSuffix(f[0], " installed") {
			continue
		}
		name, version := f[1], f[3]
		d.versions[name] = append(d.versions[name], version)
		d.versions[name+":"+f[2]] = append(d.versions[name+":"+f[2]], version)
		for p := range strings.SplitSeq(f[4], ",") {
			virtual, _, _ := strings.Cut(strings.TrimSpace(p), " ")
			if virtual != "" {
				d.provider[virtual] = [2]string{name, version}
			}
		}
	}
	return d
}

// How well a version fits what is asked for.
const (
	noFit     = iota
	prefixFit // the asked one is its beginning, up to a separator
	exactFit  // it is the asked one, but for a part that is not asked for
)

// fits compares a Debian version with what is asked for, which may leave out
// the epoch and the revision. aws-cfn-bootstrap takes any version that begins
// with the asked one, so that 1.18 is good for 1.1; of that only whole
// components are kept.
func fits(asked, version string) int {
	if asked == version {
		return exactFit
	}
	if !strings.Contains(asked, ":") {
		if _, rest, ok := strings.Cut(version, ":"); ok {
			version = rest
		}
	}
	upstream := version
	if i := strings.LastIndexByte(version, '-'); i >= 0 {
		upstream = version[:i]
	}
	if asked == version || asked == upstream {
		return exactFit
	}
	// A tilde comes before what precedes it: 1.0~rc1 is no 1.0.
	if rest, ok := strings.CutPrefix(version, asked); ok && strings.IndexByte(".-+", rest[0]) >= 0 {
		return prefixFit
	}
	return noFit
}

// bestDeb returns the version that fits best, the highest of equals; empty
// when none fits.
func bestDeb(asked string, versions []string) (best string, fit int) {
	for _, v := range versions {
		f := fits(asked, v)
		if f > fit || f == fit && f != noFit && compareDeb(v, best) > 0 {
			best, fit = v, f
		}
	}
	return best, fit
}

// judgeDeb decides about a wish by the packages that are installed.
func (h *host) judgeDeb(w *wish, d debs) {
	w.here, w.has, w.note = false, "", ""
	versions := d.versions[w.target]
	if len(versions) == 0 {
		if p, ok := d.provider[w.target]; ok && w.version == "" {
			w.here, w.has, w.note = true, p[1], p[0]+" "+p[1]+" provides it"
		}
		return
	}
	w.has = versions[0]
	if w.version == "" {
		w.here = true
		return
	}
	best, fit := bestDeb(w.version, versions)
	switch fit {
	case noFit:
		w.down = compareDeb(w.version, w.has) < 0
		return
	case prefixFit:
		w.note = best + " is installed, and taken for " + w.version
		h.Log.Warn("version taken by its beginning", "name", w.name, "asked", w.version, "version", best)
	}
	w.here, w.has = true, best
}
