package packages

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/fetch"
	"github.com/cfn-agent/cfn-agent/agent/pattern"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// dpkg installs files: the metadata gives the URL or path of each. apt-get
// does the work, since it gets what they depend on; without it dpkg does.
type dpkg struct{ apt }

// debFile is how a package's file is called: name_version_arch.deb, where the
// version has no epoch.
var debFile = pattern.Lazy{Expr: `^([a-z0-9][a-z0-9+.-]+)_([0-9][^_/]*)_([a-z0-9-]+)\.deb$`}

func (d *dpkg) tools() []string { return []string{"apt-get", "dpkg"} }

func (d *dpkg) wishes(p metadata.Package) []*wish {
	wishes := fileWishes(p)
	for _, w := range wishes {
		if m := debFile.Regexp().FindStringSubmatch(fetch.BaseName(w.url)); m != nil {
			w.target, w.version = debTarget(m[1], m[3]), m[2]
		}
	}
	return wishes
}

func debTarget(name, arch string) string {
	if arch == "all" {
		return name
	}
	return name + ":" + arch
}

func (d *dpkg) look(ctx context.Context, wishes []*wish) error {
	db, err := d.installedDebs(ctx)
	if err != nil {
		return err
	}
	for _, w := range wishes {
		if w.target != "" {
			judgeFile(w, db)
		}
	}
	return nil
}

// judgeFile wants the very version of a file, but for the epoch, which the
// name of a file leaves out.
func judgeFile(w *wish, db debs) {
	w.here, w.has = false, ""
	for _, v := range db.versions[w.target] {
		_, bare, ok := strings.Cut(v, ":")
		w.has = v
		if v == w.version || ok && w.file == "" && bare == w.version {
			w.here = true
			return
		}
	}
	w.down = w.down || w.has != "" && compareDeb(w.version, w.has) < 0
}

// prepare downloads what is missing, and looks again now that it is known
// which packages the files hold.
func (d *dpkg) prepare(ctx context.Context, missing []*wish) error {
	if err := d.download(ctx, missing, ".deb"); err != nil {
		return err
	}
	for _, w := range open(missing) {
		res, err := d.query(ctx, "dpkg-deb", "-f", w.file, "Package", "Version", "Architecture")
		if err != nil {
			return err
		}
		field := map[string]string{}
		for line := range strings.Lines(string(res.Stdout)) {
			name, value, _ := strings.Cut(line, ":")
			field[name] = strings.TrimSpace(value)
		}
		if res.Status != 0 || field["Package"] == "" || field["Version"] == "" {
			w.err = "not a Debian package: " + lastError(string(res.Stderr), "")
			continue
		}
		w.target, w.version = debTarget(field["Package"], field["Architecture"]), field["Version"]
	}
	if left := open(missing); len(left) > 0 {
		return d.look(ctx, left)
	}
	return nil
}

func (d *dpkg) install(ctx context.Context, wishes []*wish, downgrade bool) (attempt, error) {
	if _, err := d.find("apt-get"); err == nil {
		return d.apt.install(ctx, wishes, downgrade)
	}
	args := append([]string{"dpkg", "-i", "--force-confdef", "--force-confold", "--"}, specs(wishes)...)
	res, err := d.change(ctx, aptEnv, nil, args...)
	out := string(res.Stdout)
	return attempt{output: out, failed: res.Status != 0, all: permission(out)}, err
}

// get downloads a file into the private directory, under a name that ends as
// its tool wants it.
func (h *host) get(ctx context.Context, url, suffix string) (string, error) {
	dir, err := h.dir()
	if err != nil {
		return "", err
	}
	f, err := h.client.Get(ctx, h.System, fetch.Request{URL: url, Dir: dir})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, filepath.Base(f.Path)+suffix)
	if err := os.Rename(f.Path, path); err != nil {
		return "", fmt.Errorf("keep download: %w", err)
	}
	return path, nil
}
