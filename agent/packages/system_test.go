//go:build system

package packages

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/fetch"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// These tests run the real package managers, each on a root and repositories
// of its own below a temporary directory. They need root, and of Debian 12:
// rpm createrepo-c dpkg-dev dnf zypper ruby python3-venv.

const hostPath = "/usr/sbin:/usr/bin:/sbin:/bin"

// repositories makes the local repositories and the wrappers of dnf, yum,
// zypper and rpm, and returns their directory.
func repositories(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "r")
	cmd := exec.CommandContext(t.Context(), "bash", "../../images/e2e/guest/repos", dir)
	cmd.Env = append(os.Environ(), "PATH="+hostPath)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("repos: %v\n%s", err, out)
	}
	return dir
}

func realSystem(env ...string) *sys.System {
	return &sys.System{
		Run: sys.Exec, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Environ: append([]string{"HOME=/root", "LANG=C.UTF-8", "PATH=" + hostPath}, env...),
	}
}

// rpmSystem is a system of the wrappers that are named, on a new root.
func rpmSystem(t *testing.T, repos string, tools ...string) *sys.System {
	t.Helper()
	bin := t.TempDir()
	for _, tool := range tools {
		if err := os.Symlink(filepath.Join(repos, "bin", tool), filepath.Join(bin, tool)); err != nil {
			t.Fatal(err)
		}
	}
	s := realSystem("PATH="+bin, "ROOT="+t.TempDir())
	run := exec.CommandContext(t.Context(), filepath.Join(repos, "bin/dnf"), "-y", "install", "hello-cfn-base")
	run.Env = s.Environ
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("install hello-cfn-base: %v\n%s", err, out)
	}
	return s
}

// aptSystem is a system whose apt and dpkg have lists, configuration and
// database of their own.
func aptSystem(t *testing.T, repos string) (s *sys.System, root string) {
	t.Helper()
	root = t.TempDir()
	for _, dir := range []string{
		"root", "dpkg/info", "dpkg/updates", "dpkg/triggers", "state/lists/partial", "cache/archives/partial",
		"etc/sources.d", "etc/parts", "etc/preferences.d", "log",
	} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(root, name), []byte(strings.ReplaceAll(text, "ROOT", root)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("dpkg/status", "")
	write("dpkg/available", "")
	write("etc/sources.list", "deb [trusted=yes] file:"+repos+"/deb ./\n")
	write("apt.conf", `Dir::State "ROOT/state"; Dir::State::status "ROOT/dpkg/status"; Dir::Cache "ROOT/cache"; Dir::Log "ROOT/log";
Dir::Etc::sourcelist "ROOT/etc/sources.list"; Dir::Etc::sourceparts "ROOT/etc/sources.d"; Dir::Etc::parts "ROOT/etc/parts";
Dir::Etc::preferencesparts "ROOT/etc/preferences.d"; APT::Sandbox::User "root";
Dpkg::Options { "--admindir=ROOT/dpkg"; "--instdir=ROOT/root"; "--force-script-chrootless"; "--log=ROOT/log/dpkg.log"; }
`)
	return realSystem("APT_CONFIG="+root+"/apt.conf", "DPKG_ADMINDIR="+root+"/dpkg"), root
}

// want is what an Outcome must be; the texts are parts.
type want struct {
	name, action, degraded string
}

func pkg(name string, versions ...string) metadata.Package {
	return metadata.Package{Name: name, Versions: versions}
}

// checkApply applies a set and compares each Outcome: one with neither action
// nor degraded must be unchanged.
func checkApply(t *testing.T, s *sys.System, manager string, pkgs []metadata.Package, wants ...want) {
	t.Helper()
	got, err := Apply(t.Context(), s, &fetch.Client{}, metadata.PackageSet{Manager: manager, Packages: pkgs})
	if err != nil {
		t.Fatalf("Apply(%s, %v) = %v", manager, pkgs, err)
	}
	if len(got) != len(wants) {
		t.Fatalf("Apply(%s, %v) = %d outcomes, want %d", manager, pkgs, len(got), len(wants))
	}
	for i, w := range wants {
		o := got[i]
		changed := w.action != ""
		bad := o.Name != w.name || o.Action != w.action || o.Changed != changed || o.Trigger != changed ||
			!strings.Contains(o.Degraded, w.degraded) || w.degraded == "" && o.Degraded != "" ||
			!changed && w.degraded == "" && o.Skipped == ""
		if bad {
			t.Errorf("Apply(%s, %v)[%d] = %+v, want %+v", manager, pkgs, i, o, w)
		}
	}
}

// life is what every manager with repositories must do, from the first
// install to a repository that is gone.
func life(t *testing.T, s *sys.System, manager, repo string, lacks want, texts map[string]string) {
	t.Helper()
	one := func(p metadata.Package, w want) { t.Helper(); checkApply(t, s, manager, []metadata.Package{p}, w) }
	dry := *s
	dry.DryRun = true

	checkApply(t, &dry, manager, []metadata.Package{pkg("hello-cfn", "1.0-1")}, want{name: "hello-cfn", action: "install 1.0-1"})
	one(pkg("hello-cfn", "1.0-1"), want{name: "hello-cfn", action: "install 1.0-1"})
	one(pkg("hello-cfn", "1.0-1"), want{name: "hello-cfn"})
	one(pkg("hello-cfn", "1.0"), want{name: "hello-cfn"})
	one(pkg("hello-cfn"), want{name: "hello-cfn"})
	checkApply(t, &dry, manager, []metadata.Package{pkg("hello-cfn", "2.0-1")},
		want{name: "hello-cfn", action: "upgrade 1.0-1 to 2.0-1"})
	one(pkg("hello-cfn", "1.0-1", "2.0"), want{name: "hello-cfn", action: "upgrade 1.0-1 to 2.0-1"})
	one(pkg("hello-cfn", "1.0"), want{name: "hello-cfn", action: "downgrade 2.0-1 to 1.0-1"})
	one(pkg("hello-cfn", "9.9"), want{name: "hello-cfn", degraded: texts["version"]})
	one(pkg("--version"), want{name: "--version", degraded: `"--version" is not the name of a package`})
	checkApply(t, s, manager,
		[]metadata.Package{
			pkg("nosuch"), pkg("hello-cfn-bad"), pkg("hello-cfn", "2.0-1"), pkg("hello-cfn-needy"), pkg("nosuch-either"),
		},
		want{name: "nosuch", degraded: texts["package"]},
		want{name: "hello-cfn-bad", degraded: texts["script"]},
		want{name: "hello-cfn", action: "upgrade 1.0-1 to 2.0-1"},
		want{name: "hello-cfn-needy", degraded: texts["dependency"]},
		want{name: "nosuch-either", degraded: "nosuch-either"})

	if err := os.Rename(repo, repo+".away"); err != nil {
		t.Fatal(err)
	}
	one(pkg("hello-cfn"), want{name: "hello-cfn"})
	one(pkg("hello-cfn-bad"), lacks)
	if err := os.Rename(repo+".away", repo); err != nil {
		t.Fatal(err)
	}
}

func TestRealApt(t *testing.T) {
	repos := repositories(t)
	s, root := aptSystem(t, repos)
	life(t, s, "apt", repos+"/deb", want{name: "hello-cfn-bad", degraded: "cannot install hello-cfn-bad: "}, map[string]string{
		"version":    "cannot install hello-cfn 9.9 (1.0-1 is installed): Version '9.9' for 'hello-cfn' was not found",
		"package":    "cannot install nosuch: Unable to locate package nosuch",
		"script":     "new hello-cfn-bad package pre-installation script subprocess returned error exit status 1",
		"dependency": "hello-cfn-needy : Depends: hello-cfn-absent but it is not installable",
	})
	if out, err := exec.Command("sh", filepath.Join(root, "root/usr/bin/hello-cfn")).Output(); string(out) != "hello-cfn 2.0\n" {
		t.Errorf("hello-cfn = %q, %v, want what 2.0 prints", out, err)
	}
	checkApply(t, s, "apt", []metadata.Package{pkg("hello-cfn=1.0-1")},
		want{name: "hello-cfn=1.0-1", action: "downgrade 2.0-1 to 1.0-1"})
}

func TestRealAptWithoutListsAndNetworkSaysBoth(t *testing.T) {
	s, _ := aptSystem(t, "/nosuch")
	checkApply(t, s, "apt", []metadata.Package{pkg("hello-cfn")},
		want{name: "hello-cfn", degraded: "Unable to locate package hello-cfn; apt-get update: "})
}

// At boot apt-daily holds the lock of the lists or of dpkg. The first is one
// that apt-get never waits for.
func TestRealAptWaitsForLocks(t *testing.T) {
	repos := repositories(t)
	s, root := aptSystem(t, repos)
	for lock, p := range map[string]metadata.Package{
		"state/lists/lock": pkg("hello-cfn", "1.0-1"), "dpkg/lock-frontend": pkg("hello-cfn", "2.0-1"),
	} {
		f, err := os.OpenFile(filepath.Join(root, lock), os.O_RDWR|os.O_CREATE, 0o640)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK}); err != nil {
			t.Fatal(err)
		}
		released := time.AfterFunc(2*time.Second, func() { f.Close() })
		start := time.Now()
		os.RemoveAll(filepath.Join(root, "dpkg/info"))
		os.MkdirAll(filepath.Join(root, "dpkg/info"), 0o755)
		os.WriteFile(filepath.Join(root, "dpkg/status"), nil, 0o644)
		if lock == "state/lists/lock" {
			old := time.Now().Add(-48 * time.Hour)
			os.Chtimes(filepath.Join(root, "state/lists"), old, old)
		}
		checkApply(t, s, "apt", []metadata.Package{p}, want{name: "hello-cfn", action: "install " + p.Versions[0]})
		if took := time.Since(start); took < 2*time.Second || released.Stop() {
			t.Errorf("with %s held: took %v, want it to wait for the lock", lock, took)
		}
	}
}

var rpmTexts = map[string]string{
	"version":    "No match for argument: hello-cfn-9.9",
	"package":    "cannot install nosuch: No match for argument: nosuch",
	"script":     "Error in PREIN scriptlet in rpm package hello-cfn-bad",
	"dependency": "nothing provides hello-cfn-absent needed by hello-cfn-needy-1.0-1.noarch",
}

func TestRealDnf(t *testing.T) {
	repos := repositories(t)
	s := rpmSystem(t, repos, "rpm", "dnf")
	life(t, s, "dnf", repos+"/rpm", want{name: "hello-cfn-bad", degraded: "cannot install hello-cfn-bad: "}, rpmTexts)

	checkApply(t, s, "dnf", []metadata.Package{pkg("hello-cfn-1.0"), pkg("/bin/sh"), pkg("system-release")},
		want{name: "hello-cfn-1.0", action: "downgrade 2.0-1 to 1.0-1"}, want{name: "/bin/sh"}, want{name: "system-release"})
	checkApply(t, s, "dnf", []metadata.Package{pkg("/usr/bin/hello-cfn"), pkg("hello-cfn-1.0-1")},
		want{name: "/usr/bin/hello-cfn"}, want{name: "hello-cfn-1.0-1"})
	checkApply(t, s, "dnf", []metadata.Package{pkg("@nogroup"), pkg("hello-cfn*")},
		want{name: "@nogroup", degraded: "nogroup"}, want{name: "hello-cfn*", degraded: "hello-cfn-"})
}

// heat-cfntools asked "which yum", and ended when there was no which.
func TestRealYumIsDnfWhereThereIsNoYum(t *testing.T) {
	repos := repositories(t)
	life(t, rpmSystem(t, repos, "rpm", "dnf"), "yum", repos+"/rpm",
		want{name: "hello-cfn-bad", degraded: "cannot install hello-cfn-bad: "}, rpmTexts)
	checkApply(t, rpmSystem(t, repos, "rpm", "yum"), "dnf", []metadata.Package{pkg("hello-cfn", "1.0")},
		want{name: "hello-cfn", action: "install 1.0-1"})
	checkApply(t, rpmSystem(t, repos, "rpm"), "dnf", []metadata.Package{pkg("hello-cfn")},
		want{name: "hello-cfn", degraded: "cannot install hello-cfn: dnf is not installed"})
}

func TestRealUnreadableRepository(t *testing.T) {
	repos := repositories(t)
	s := rpmSystem(t, repos, "rpm", "dnf")
	if err := os.RemoveAll(filepath.Join(s.Getenv("ROOT"), "var/cache")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(repos+"/rpm", repos+"/away"); err != nil {
		t.Fatal(err)
	}
	text := "no repository could be read: Failed to download metadata for repo 'hello-cfn'"
	checkApply(t, s, "dnf", []metadata.Package{pkg("hello-cfn"), pkg("hello-cfn-base"), pkg("nosuch")},
		want{name: "hello-cfn", degraded: text}, want{name: "hello-cfn-base"}, want{name: "nosuch", degraded: text})
}

func TestRealZypper(t *testing.T) {
	repos := repositories(t)
	s := rpmSystem(t, repos, "rpm", "zypper")
	life(t, s, "zypper", repos+"/rpm", want{name: "hello-cfn-bad", degraded: "cannot install hello-cfn-bad: "}, map[string]string{
		"version":    "No provider of 'hello-cfn=9.9' found.",
		"package":    "cannot install nosuch: No provider of 'nosuch' found.",
		"script":     "hello-cfn-bad: %pre fails by design",
		"dependency": "nothing provides hello-cfn-absent needed by hello-cfn-needy-1.0-1.noarch",
	})
	checkApply(t, s, "zypper", []metadata.Package{pkg("hello-cfn=1.0")},
		want{name: "hello-cfn=1.0", action: "downgrade 2.0-1 to 1.0-1"})
}

func TestRealRpmFiles(t *testing.T) {
	repos := repositories(t)
	s := rpmSystem(t, repos, "rpm")
	files(t, s, "rpm", repos+"/rpm", func(name, version string) string { return name + "-" + version + ".noarch.rpm" },
		"%pre fails by design", "hello-cfn-absent is needed by hello-cfn-needy-1.0-1.noarch")
}

func TestRealDpkgFiles(t *testing.T) {
	repos := repositories(t)
	s, _ := aptSystem(t, repos)
	files(t, s, "dpkg", repos+"/deb", func(name, version string) string { return name + "_" + version + "_all.deb" },
		"pre-installation script subprocess returned error exit status 1", "hello-cfn-needy : Depends: hello-cfn-absent")
}

// files is what rpm and dpkg must do with the files of a repository.
func files(t *testing.T, s *sys.System, manager, dir string, file func(name, version string) string, script, dependency string) {
	t.Helper()
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		if r.URL.Path == "/latest" {
			r.URL.Path = "/" + file("hello-cfn", "2.0-1")
		}
		http.FileServer(http.Dir(dir)).ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	one := func(p metadata.Package, w want) { t.Helper(); checkApply(t, s, manager, []metadata.Package{p}, w) }
	first, second := file("hello-cfn", "1.0-1"), file("hello-cfn", "2.0-1")
	dry := *s
	dry.DryRun = true

	checkApply(t, &dry, manager, []metadata.Package{pkg("hello", server.URL+"/"+first)},
		want{name: "hello", action: "install 1.0-1"})
	if requests != 0 {
		t.Errorf("%s: a dry run made %d requests, want none", manager, requests)
	}
	one(pkg("hello", server.URL+"/"+first), want{name: "hello", action: "install 1.0-1"})
	if requests != 1 {
		t.Errorf("%s: %d requests for one file, want 1", manager, requests)
	}
	one(pkg("hello", server.URL+"/"+first), want{name: "hello"})
	if requests != 1 {
		t.Errorf("%s: what is installed was asked for again", manager)
	}
	one(pkg("hello", filepath.Join(dir, second)), want{name: "hello", action: "upgrade 1.0-1 to 2.0-1"})
	one(pkg("hello", server.URL+"/latest"), want{name: "hello"})
	one(pkg("hello", filepath.Join(dir, first)), want{name: "hello", action: "downgrade 2.0-1 to 1.0-1"})
	one(pkg("hello"), want{name: "hello", degraded: "it needs the URL or path of a package file"})
	one(pkg(filepath.Join(dir, first)), want{name: filepath.Join(dir, first)})
	one(pkg("text", "/etc/hostname"), want{name: "text", degraded: "package"})
	checkApply(t, s, manager,
		[]metadata.Package{
			pkg("bad", filepath.Join(dir, file("hello-cfn-bad", "1.0-1"))),
			pkg("hello", server.URL+"/"+second+"?X-Amz-Signature=hidden"),
			pkg("needy", filepath.Join(dir, file("hello-cfn-needy", "1.0-1"))),
			pkg("gone", "/nosuch/"+file("hello-cfn", "3.0-1")),
		},
		want{name: "bad", degraded: script}, want{name: "hello", action: "upgrade 1.0-1 to 2.0-1"},
		want{name: "needy", degraded: dependency}, want{name: "gone", degraded: "no such file"})
}
