package packages

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/fetch"
	"github.com/cfn-agent/cfn-agent/agent/pattern"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// python is pip: of the system, or of a virtual environment.
type python struct {
	*host
	venv string
	pip  []string // how pip is called; known after the first look
}

var (
	pythonName = pattern.Lazy{Expr: `^([A-Za-z0-9][A-Za-z0-9._-]*)(\[[A-Za-z0-9._, -]*\])?$`}
	// pythonDist finds name and version in the name of a wheel or sdist.
	pythonDist = pattern.Lazy{Expr: `^([A-Za-z0-9._-]+?)-([0-9][A-Za-z0-9.!+]*?)(-.*\.whl|\.tar\.gz|\.zip|\.tar\.bz2)$`}
	nameRun    = pattern.Lazy{Expr: `[-_.]+`}
	zeroTail   = pattern.Lazy{Expr: `(\.0+)+$`}
)

// pipEnv keeps pip from asking for a newer pip, for a password, and from
// advice.
var pipEnv = []string{"PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_INPUT=1", "PIP_ROOT_USER_ACTION=ignore", "PIP_NO_COLOR=1"}

// externallyManaged is the fix for what PEP 668 forbids.
const externallyManaged = `the Python of this system is externally managed (PEP 668): ` +
	`install into a virtual environment, as in {"version": "1.0", "venv": "/opt/app"}, ` +
	`or the package of the distribution, which is often called python3-NAME`

func (p *python) tools() []string {
	if p.venv != "" {
		return []string{"python3", p.venvPython()}
	}
	return []string{"python3", "pip3", "pip"}
}

func (p *python) venvPython() string { return filepath.Join(p.Path(p.venv), "bin", "python") }

// wishes takes the last of several versions, as the only one that would stay.
func (p *python) wishes(pkg metadata.Package) []*wish {
	w := &wish{name: pkg.Name}
	name, pin, pinned := strings.Cut(pkg.Name, "==")
	if n := len(pkg.Versions); n > 0 {
		w.version, pinned = pkg.Versions[n-1], true
	} else if pinned {
		w.version, pkg.Name = strings.TrimSpace(pin), strings.TrimSpace(name)
	}
	m := pythonName.Regexp().FindStringSubmatch(pkg.Name)
	switch {
	case p.venv != "" && !filepath.IsAbs(p.venv):
		w.err = fmt.Sprintf("venv %q is not an absolute path", p.venv)
	case !requirement(pkg.Name):
		w.err = badName(pkg.Name)
	case pinned && !requirement(w.version):
		w.err = badVersion(w.version)
	case m == nil && pinned:
		w.err = badName(pkg.Name)
	case m == nil:
		// A URL, or a range of versions: pip's to understand.
		w.spec, w.whole = pkg.Name, true
	case strings.Contains(w.version, "://") || strings.HasPrefix(w.version, "/"):
		p.fromURL(w, m[1])
	case pinned:
		w.target, w.spec = canonical(m[1]), pkg.Name+"=="+w.version
	default:
		w.target, w.spec = canonical(m[1]), pkg.Name
	}
	return []*wish{w}
}

// fromURL is for a URL in the place of a version.
func (p *python) fromURL(w *wish, name string) {
	url := w.version
	w.spec, w.url, w.version = name+" @ "+url, url, ""
	if filepath.IsAbs(url) {
		w.spec = name + " @ file://" + p.Path(url)
	}
	if m := pythonDist.Regexp().FindStringSubmatch(fetch.BaseName(url)); m != nil && canonical(m[1]) == canonical(name) {
		w.target, w.version = canonical(name), m[2]
		return
	}
	w.whole = true
}

// requirement says that a text can stand in a line of pip's requirements file
// without being an option or having one.
func requirement(text string) bool {
	if text == "" || text[0] == '-' || strings.Contains(text, " -") || strings.Contains(text, " #") {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' })
}

// canonical is a project's name as PEP 503 normalizes it.
func canonical(name string) string {
	return strings.ToLower(nameRun.Regexp().ReplaceAllString(name, "-"))
}

// sameVersion compares versions as PEP 440 does, as far as zeros at the end,
// case and a leading v go.
func sameVersion(a, b string) bool {
	plain := func(v string) string {
		return zeroTail.Regexp().ReplaceAllString(strings.TrimPrefix(strings.ToLower(v), "v"), "")
	}
	return plain(a) == plain(b)
}

func (p *python) look(ctx context.Context, wishes []*wish) error {
	have, err := p.installed(ctx)
	if err != nil {
		return err
	}
	for _, w := range wishes {
		if w.whole {
			continue
		}
		w.has = have[w.target]
		w.here = w.has != "" && (w.version == "" || sameVersion(w.version, w.has))
		if !w.here && w.has != "" {
			// For the word in the report; pip decides by PEP 440.
			w.down = orderRPM(w.version, w.has) < 0
		}
	}
	return nil
}

// installed asks pip for the versions of all that is installed, by canonical
// name. A virtual environment that is not there has nothing.
func (p *python) installed(ctx context.Context) (map[string]string, error) {
	if err := p.findPip(ctx); err != nil || p.pip == nil {
		return map[string]string{}, err
	}
	res, err := p.Run(ctx, sys.Cmd{
		Args: append(append([]string(nil), p.pip...), "list", "--format=json"),
		Env:  append(p.With("LC_ALL=C"), pipEnv...),
	})
	if err := checked(res, err, "pip"); err != nil {
		return nil, err
	}
	var list []struct{ Name, Version string }
	if err := json.Unmarshal(res.Stdout, &list); err != nil {
		return nil, fmt.Errorf("pip list: %w", err)
	}
	have := map[string]string{}
	for _, e := range list {
		have[canonical(e.Name)] = e.Version
	}
	return have, nil
}

// findPip finds out how pip is called: a python3 may be without it.
func (p *python) findPip(ctx context.Context) error {
	if p.pip != nil {
		return nil
	}
	if p.venv != "" {
		if _, err := os.Stat(p.venvPython()); err == nil {
			p.pip = []string{p.venvPython(), "-m", "pip"}
		}
		return nil
	}
	for _, pip := range [][]string{{"python3", "-m", "pip"}, {"pip3"}, {"pip"}} {
		if _, err := p.find(pip[0]); err != nil {
			continue
		}
		res, err := p.query(ctx, append(pip, "--version")...)
		if err == nil && res.Status == 0 {
			p.pip = pip
			return nil
		}
	}
	return fmt.Errorf("pip is %w", sys.ErrNotFound)
}

// prepare makes the virtual environment.
func (p *python) prepare(ctx context.Context, _ []*wish) error {
	if p.pip != nil {
		return nil
	}
	res, err := p.change(ctx, nil, nil, "python3", "-m", "venv", p.Path(p.venv))
	if err != nil {
		return err
	}
	if res.Status != 0 {
		return fmt.Errorf("make virtual environment %s: %s", p.venv, lastError(string(res.Stdout), ""))
	}
	return p.findPip(ctx)
}

// install gives pip the requirements in a private file: a URL may hold a
// password, and everybody can read a command line.
func (p *python) install(ctx context.Context, wishes []*wish, _ bool) (attempt, error) {
	dir, err := p.dir()
	if err != nil {
		return attempt{}, err
	}
	file := filepath.Join(dir, "requirements.txt")
	if err := os.WriteFile(file, []byte(strings.Join(specs(wishes), "\n")+"\n"), 0o600); err != nil {
		return attempt{}, err
	}
	before, err := p.installed(ctx)
	if err != nil {
		return attempt{}, err
	}
	args := append(append([]string(nil), p.pip...), "install", "-r", file)
	res, err := p.change(ctx, pipEnv, nil, args...)
	if err != nil {
		return attempt{}, err
	}
	out := string(res.Stdout)
	a := attempt{output: out, failed: res.Status != 0, hint: pipHint(out)}
	if a.failed {
		a.cause = buildError(out)
	}
	if strings.Contains(out, "externally-managed-environment") {
		a.all = externallyManaged
	}
	after, err := p.installed(ctx)
	for _, w := range wishes {
		w.touched = w.whole && !sameMap(before, after)
	}
	return a, err
}

func sameMap(a, b map[string]string) bool {
	for name, version := range a {
		if b[name] != version {
			return false
		}
	}
	return len(a) == len(b)
}

func (p *python) unavailable() []string {
	return []string{"No matching distribution found for %s"}
}
