package packages

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/fetch"
	"github.com/cfn-agent/cfn-agent/agent/retry"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// masked makes the names of temporary files the same in each run.
func masked(run sys.Runner, dir string) sys.Runner {
	return func(ctx context.Context, c sys.Cmd) (sys.Result, error) {
		args := append([]string(nil), c.Args...)
		for i, a := range args {
			if strings.HasPrefix(a, dir) {
				args[i] = "FILE"
			}
		}
		c.Args = args
		return run(ctx, c)
	}
}

func TestWhatIsInstalledIsNotDownloaded(t *testing.T) {
	s, _ := machine(t, "rpm", call{"rpm -q --qf FORMAT -- hello.noarch", 0, rpmLine("hello", "1.0", "1")})
	check(t, s, set("rpm", entry("hello", "https://nosuch.invalid/hello-1.0-1.noarch.rpm")), "hello: = 1.0-1 is installed")
	s, _ = machine(t, "apt-get", call{debQuery, 0, "install ok installed\thello\tall\t1:1.0-1\t\n"})
	check(t, s, set("dpkg", entry("hello", "https://nosuch.invalid/hello_1.0-1_all.deb")), "hello: = 1:1.0-1 is installed")
}

func TestDryRunDoesNotDownload(t *testing.T) {
	s, _ := machine(t, "rpm", call{"rpm -q --qf FORMAT -- hello.noarch", 1, absent})
	s.DryRun = true
	check(t, s, set("rpm", entry("hello", "https://nosuch.invalid/hello-1.0-1.noarch.rpm"), entry("other", "/srv/latest")),
		"hello: install 1.0-1", "other: install")
}

// heat-cfntools accepted rpm and dpkg, and did nothing at all.
func TestRpmAndDpkgInstallFiles(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	put := func(s *sys.System) {
		write(t, s.Path("/srv/latest"))
	}
	s, _ := machine(t, "rpm",
		call{"rpm -qp --nosignature --qf FORMAT -- FILE", 0, rpmLine("hello", "1.0", "1")},
		call{"rpm -q --qf FORMAT -- hello.noarch", 0, rpmLine("hello", "2.0", "1")},
		call{"rpm -U --oldpackage -- FILE", 0, ""},
		call{"rpm -q --qf FORMAT -- hello.noarch", 0, rpmLine("hello", "1.0", "1")})
	put(s)
	s.Run = masked(s.Run, tmp)
	check(t, s, set("rpm", entry("hello", "/srv/latest")), "hello: downgrade 2.0-1 to 1.0-1")

	for _, c := range []struct{ tool, install string }{
		{"apt-get", "apt-get OPTIONS install -- FILE"}, {"dpkg", "dpkg -i --force-confdef --force-confold -- FILE"},
	} {
		s, _ = machine(t, c.tool, call{debQuery, 0, ""},
			call{"dpkg-deb -f FILE Package Version Architecture", 0, "Package: hello\nVersion: 1:1.0-1\nArchitecture: amd64\n"},
			call{debQuery, 0, ""}, call{c.install, 0, ""},
			call{debQuery, 0, debLine("hello", "1:1.0-1")})
		put(s)
		s.Run = masked(s.Run, tmp)
		check(t, s, set("dpkg", entry("hello", "/srv/latest")), "hello: install 1:1.0-1")
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("temporary files after Apply = %v, %v, want none", left, err)
	}
}

// An image may have no lists, and then no dependency of a file can be got.
func TestDpkgUpdatesListsForTheDependenciesOfAFile(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	s, _ := machine(t, "apt-get", call{debQuery, 0, ""},
		call{"dpkg-deb -f FILE Package Version Architecture", 0, "Package: hello\nVersion: 1.0-1\nArchitecture: all\n"},
		call{debQuery, 0, ""},
		call{"apt-get OPTIONS install -- FILE", 100, "The following packages have unmet dependencies:\n hello : Depends: x\n"},
		call{aptConfig, 1, ""}, call{aptUpdate, 0, ""}, call{"apt-get OPTIONS install -- FILE", 0, ""},
		call{debQuery, 0, "install ok installed\thello\tall\t1.0-1\t\n"})
	write(t, s.Path("/srv/latest"))
	s.Run = masked(s.Run, tmp)
	check(t, s, set("dpkg", entry("hello", "/srv/latest")), "hello: install 1.0-1")
}

func TestFileThatCannotBeReadIsNotTakenForInstalled(t *testing.T) {
	s, _ := machine(t, "rpm")
	check(t, s, set("rpm", entry("hello", "/nosuch/latest"), entry("none")),
		"hello: ! cannot install hello from /nosuch/latest: get /nosuch/latest: no such file or directory",
		"none: ! cannot install none: it needs the URL or path of a package file")
}

// heat-cfntools ran easy_install, without versions and without a look at what
// was there, so that services restarted on every run.
func TestPipAsksOnlyForWhatIsMissing(t *testing.T) {
	const list = "python3 -m pip list --format=json"
	s, _ := machine(t, "python3", call{"python3 -m pip --version", 0, ""},
		call{list, 0, `[{"name":"Flask","version":"2.0.0"},{"name":"ruamel.yaml","version":"0.17"}]`},
		call{list, 0, `[{"name":"Flask","version":"2.0.0"}]`}, call{"python3 -m pip install -r FILE", 0, ""},
		call{list, 0, `[{"name":"Flask","version":"2.0.0"},{"name":"requests","version":"2.31"}]`},
		call{list, 0, `[{"name":"Flask","version":"2.0.0"},{"name":"requests","version":"2.31"}]`})
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	s.Run = masked(s.Run, tmp)
	check(t, s, set("python", entry("flask", "2.0"), entry("ruamel_yaml"), entry("requests==2.31")),
		"flask: = 2.0.0 is installed", "ruamel_yaml: = 0.17 is installed", "requests==2.31: install 2.31")
}

func TestPipWhenPython3HasNone(t *testing.T) {
	s, _ := machine(t, "python3 pip3", call{"python3 -m pip --version", 1, ""}, call{"pip3 --version", 0, ""},
		call{"pip3 list --format=json", 0, `[{"name":"a","version":"1"}]`})
	check(t, s, set("python", entry("a")), "a: = 1 is installed")
	s, _ = machine(t, "python3", call{"python3 -m pip --version", 1, ""})
	check(t, s, set("python", entry("a")), "a: ! cannot install a: pip is not installed")
}

// Everybody can read a command line.
func TestUrlOfAPythonPackageIsNotOnACommandLine(t *testing.T) {
	const url = "https://user:hunter2hunter2@host.invalid/a-1.0.tar.gz"
	s, _ := machine(t, "python3")
	var requirements string
	s.Run = func(_ context.Context, c sys.Cmd) (sys.Result, error) {
		if line := strings.Join(c.Args, " "); strings.Contains(line, "hunter2") {
			t.Errorf("command %q has the password", line)
		}
		for i, a := range c.Args {
			if a != "-r" {
				continue
			}
			info, err := os.Stat(c.Args[i+1])
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("requirements file has mode %v, %v, want 0600", info, err)
			}
			text, _ := os.ReadFile(c.Args[i+1])
			requirements = string(text)
		}
		return sys.Result{Stdout: []byte("[]")}, nil
	}
	outcomes, err := Apply(t.Context(), s, &fetch.Client{}, set("python", entry("a", url)))
	if want := "a @ " + url + "\n"; err != nil || requirements != want {
		t.Errorf("requirements = %q, %v, want %q", requirements, err, want)
	}
	if strings.Contains(outcomes[0].Degraded, "hunter2") {
		t.Errorf("Degraded = %s, which has the password", outcomes[0].Degraded)
	}
}

func TestEachVirtualEnvironmentIsItsOwn(t *testing.T) {
	s, _ := machine(t, "python3")
	write(t, s.Path("/opt/a/bin/python"))
	write(t, s.Path("/opt/b/bin/python"))
	lists := map[string]string{"/opt/a": `[{"name":"x","version":"1"}]`, "/opt/b": `[{"name":"x","version":"2"}]`}
	s.Run = func(_ context.Context, c sys.Cmd) (sys.Result, error) {
		for venv, list := range lists {
			if strings.HasPrefix(c.Args[0], s.Path(venv)) && c.Args[3] == "list" {
				return sys.Result{Stdout: []byte(list)}, nil
			}
		}
		t.Errorf("command %q, want pip list of a virtual environment", c.Args)
		return sys.Result{Status: 1}, nil
	}
	check(t, s, set("python", metadata.Package{Name: "x", Venv: "/opt/a"}, metadata.Package{Name: "x==2", Venv: "/opt/b"},
		metadata.Package{Name: "y", Venv: "opt/c"}),
		"x: = 1 is installed", "x==2: = 2 is installed", `y: ! cannot install y: venv "opt/c" is not an absolute path`)
}

func TestExternallyManagedPythonIsTriedOnce(t *testing.T) {
	const list = "python3 -m pip list --format=json"
	s, _ := machine(t, "python3", call{"python3 -m pip --version", 0, ""}, call{list, 0, "[]"}, call{list, 0, "[]"},
		call{"python3 -m pip install -r FILE", 1, "error: externally-managed-environment\n\n× This environment is externally managed\n"},
		call{list, 0, "[]"}, call{list, 0, "[]"})
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	s.Run = masked(s.Run, tmp)
	check(t, s, set("python", entry("a"), entry("b")),
		"a: ! cannot install a: "+externallyManaged, "b: ! cannot install b: "+externallyManaged)
}

// heat-cfntools took the first version only, and ignored the result.
func TestEachVersionOfAGemIsAskedFor(t *testing.T) {
	const list = "gem list --local"
	s, _ := machine(t, "gem",
		call{list, 0, "\n*** LOCAL GEMS ***\n\nrack (2.2.4, default: 1.3.6)\nnokogiri (1.15.4 x86_64-linux)\n"},
		call{list + " -i -v ~> 2.0 ^rack$", 0, "true\n"},
		call{"gem install --no-document rack:3.0 nosuch", 2, "ERROR:  Could not find a valid gem 'nosuch' (>= 0) in any repository\n"},
		call{list, 0, "rack (3.0, 2.2.4, 1.3.6)\n"})
	check(t, s, set("rubygems", entry("rack", "1.3.6", "3.0", "~> 2.0"), entry("nokogiri", "1.15.4"), entry("nosuch")),
		"rack: install 3.0", "nokogiri: = 1.15.4 is installed",
		"nosuch: ! cannot install nosuch: Could not find a valid gem 'nosuch' (>= 0) in any repository")
}

// Only that the time was over was said, not what it was spent on.
func TestDownloadThatTimedOutIsNamed(t *testing.T) {
	s, _ := machine(t, "rpm")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, errors.New("timed out after 3s"))
		defer cancel()
		c := &fetch.Client{Retry: retry.Policy{First: time.Hour, Tries: 2}}
		_, err := Apply(ctx, s, c, set("rpm", entry("a", "http://127.0.0.1:1/a.rpm")))
		const want = "get http://127.0.0.1:1/a.rpm: dial tcp 127.0.0.1:1: connect: connection refused; gave up: timed out after 3s"
		if err == nil || err.Error() != want {
			t.Errorf("Apply = %v, want %s", err, want)
		}
	})
}
