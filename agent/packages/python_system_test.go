//go:build system

package packages

import (
	"archive/zip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/cfn-agent/cfn-agent/metadata"
)

// wheel makes the smallest wheel that pip installs.
func wheel(t *testing.T, dir, name, version string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, name+"-"+version+"-py3-none-any.whl"))
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	info := name + "-" + version + ".dist-info/"
	for _, file := range [][2]string{
		{name + ".py", "version = '" + version + "'\n"},
		{info + "METADATA", "Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version + "\n"},
		{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{info + "RECORD", ""},
	} {
		w, err := z.Create(file[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(file[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRealPip(t *testing.T) {
	links, venv := t.TempDir(), filepath.Join(t.TempDir(), "venv")
	wheel(t, links, "hello_cfn", "1.0")
	wheel(t, links, "hello_cfn", "2.0")
	s := realSystem("PIP_NO_INDEX=1", "PIP_FIND_LINKS="+links)
	in := func(name string, versions ...string) metadata.Package {
		return metadata.Package{Name: name, Versions: versions, Venv: venv}
	}
	one := func(p metadata.Package, w want) {
		t.Helper()
		w.name = p.Name
		checkApply(t, s, "python", []metadata.Package{p}, w)
	}
	one(in("hello-cfn==1.0"), want{action: "install 1.0"})
	one(in("Hello_CFN", "1.0.0"), want{})
	one(in("hello-cfn"), want{})
	one(in("hello-cfn", "2.0"), want{action: "upgrade 1.0 to 2.0"})
	one(in("hello-cfn", "1.0"), want{action: "downgrade 2.0 to 1.0"})
	one(in("hello-cfn>=1.5"), want{action: "install"})
	one(in("hello-cfn>=1.5"), want{})
	one(in("hello-cfn", "file://"+links+"/hello_cfn-1.0-py3-none-any.whl"), want{action: "downgrade 2.0 to 1.0"})
	one(in("hello-cfn", links+"/hello_cfn-1.0-py3-none-any.whl"), want{})
	one(in("--editable"), want{degraded: "is not the name of a package"})
	checkApply(t, s, "python", []metadata.Package{in("nosuch"), in("hello-cfn", "2.0")},
		want{name: "nosuch", degraded: "cannot install nosuch: No matching distribution found for nosuch"},
		want{name: "hello-cfn", action: "upgrade 1.0 to 2.0"})
}

// The python3 of Debian 12 is marked, and pip there says so.
func TestRealPipOnAnExternallyManagedPython(t *testing.T) {
	links := t.TempDir()
	wheel(t, links, "hello_cfn", "1.0")
	s := realSystem("PIP_NO_INDEX=1", "PIP_FIND_LINKS="+links)
	checkApply(t, s, "python", []metadata.Package{pkg("hello-cfn"), pkg("other")},
		want{name: "hello-cfn", degraded: "(PEP 668): install into a virtual environment"},
		want{name: "other", degraded: "(PEP 668): install into a virtual environment"})
}

func TestRealGem(t *testing.T) {
	dir := t.TempDir()
	run := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Dir, cmd.Env = dir, []string{"PATH=" + hostPath, "HOME=" + dir}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "repo/gems"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{"1.0", "2.0"} {
		spec := fmt.Sprintf("Gem::Specification.new { |s| s.name = 'hello-cfn'; s.version = '%s'; s.summary = 'x'; "+
			"s.authors = ['x']; s.homepage = 'http://localhost'; s.license = 'MIT' }\n", v)
		if err := os.WriteFile(filepath.Join(dir, "h.gemspec"), []byte(spec), 0o644); err != nil {
			t.Fatal(err)
		}
		run("gem", "build", "h.gemspec", "--output", "repo/gems/hello-cfn-"+v+".gem")
	}
	run("gem", "generate_index", "--directory", "repo")
	rc := filepath.Join(dir, "gemrc")
	if err := os.WriteFile(rc, []byte("---\n:sources:\n- file://"+dir+"/repo/\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := realSystem("GEMRC="+rc, "GEM_HOME="+dir+"/home", "HOME="+dir)
	one := func(p metadata.Package, w want) {
		t.Helper()
		w.name = p.Name
		checkApply(t, s, "rubygems", []metadata.Package{p}, w)
	}
	one(pkg("hello-cfn", "1.0"), want{action: "install 1.0"})
	one(pkg("hello-cfn"), want{})
	one(pkg("hello-cfn", "~> 1.0"), want{})
	one(pkg("hello-cfn", "1.0", "2.0"), want{action: "install 2.0"})
	one(pkg("hello-cfn", "1.0", "2.0"), want{})
	one(pkg("hello-cfn", "9"), want{degraded: "Could not find a valid gem 'hello-cfn' (= 9)"})
	checkApply(t, s, "rubygems", []metadata.Package{pkg("nosuch"), pkg("-i")},
		want{name: "nosuch", degraded: "Could not find a valid gem 'nosuch'"},
		want{name: "-i", degraded: "is not the name of a package"})
}
