package packages

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cfn-agent/cfn-agent/agent/fetch"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// A call is a command that is expected, and what it answers.
type call struct {
	args   string
	status int
	out    string
}

// A script is a machine that answers expected commands in their order.
type script struct {
	t     *testing.T
	calls []call
	seen  []sys.Cmd
}

func (s *script) run(_ context.Context, c sys.Cmd) (sys.Result, error) {
	s.seen = append(s.seen, c)
	got := strings.Join(c.Args, " ")
	got = strings.ReplaceAll(got, rpmFormat, "FORMAT")
	got = strings.ReplaceAll(got, debFormat, "FORMAT")
	got = strings.ReplaceAll(got, strings.Join(aptOptions, " "), "OPTIONS")
	if len(s.calls) == 0 {
		s.t.Errorf("command %q, want none", got)
		return sys.Result{Status: 1}, nil
	}
	next := s.calls[0]
	s.calls = s.calls[1:]
	if got != next.args {
		s.t.Errorf("command %q, want %q", got, next.args)
	}
	return sys.Result{Status: next.status, Stdout: []byte(next.out)}, nil
}

// machine is a system that has some tools on its PATH, and expects calls.
func machine(t *testing.T, tools string, calls ...call) (*sys.System, *script) {
	t.Helper()
	root := t.TempDir()
	bin := filepath.Join(root, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for tool := range strings.FieldsSeq(tools) {
		if err := os.WriteFile(filepath.Join(bin, tool), []byte("#!/bin/false\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	sc := &script{t: t, calls: calls}
	t.Cleanup(func() {
		for _, c := range sc.calls {
			t.Errorf("command %q was not run", c.args)
		}
	})
	return &sys.System{
		Root: root, Run: sc.run, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Environ: []string{"PATH=" + bin, "HOME=/root", "http_proxy=http://proxy:3128", "LANG=de_DE.UTF-8", InRoot + "=1"},
	}, sc
}

func entry(name string, versions ...string) metadata.Package {
	return metadata.Package{Name: name, Versions: versions}
}

func set(manager string, pkgs ...metadata.Package) metadata.PackageSet {
	return metadata.PackageSet{Manager: manager, Packages: pkgs}
}

// check applies a set and compares the outcomes with lines such as
// "httpd: install 1.0-1", "wget: = 1.0-1 is installed", "nosuch: ! why".
func check(t *testing.T, s *sys.System, ps metadata.PackageSet, want ...string) {
	t.Helper()
	outcomes, err := Apply(t.Context(), s, &fetch.Client{}, ps)
	if err != nil {
		t.Fatalf("Apply(%v) = %v, want no error", ps, err)
	}
	var got []string
	for _, o := range outcomes {
		line := o.Name + ": " + o.Action
		if o.Skipped != "" {
			line += "= " + o.Skipped
		}
		if o.Degraded != "" {
			line += "! " + o.Degraded
		}
		if o.Changed != (o.Action != "") || o.Trigger != o.Changed {
			t.Errorf("Apply(%v): %s has Changed %v, Trigger %v", ps, o.Name, o.Changed, o.Trigger)
		}
		got = append(got, line)
	}
	if !slices.Equal(got, want) {
		t.Errorf("Apply(%v) =\n%s\nwant\n%s", ps, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func rpmLine(name, version, release string) string {
	return name + "\t(none)\t" + version + "\t" + release + "\tnoarch\n"
}

const absent = "package x is not installed\n"

// heat-cfntools asked for the metadata of all repositories for each package,
// one after the other, also when everything was there (Launchpad bug 1235824).
func TestInstalledPackagesCostOneLocalQuery(t *testing.T) {
	s, _ := machine(t, "yum rpm", call{"rpm -q --qf FORMAT -- httpd mysql wordpress", 0,
		rpmLine("httpd", "2.4", "1") + rpmLine("mysql", "8.0", "2") + rpmLine("wordpress", "6", "3")})
	check(t, s, set("yum", entry("httpd"), entry("mysql"), entry("wordpress")),
		"httpd: = 2.4-1 is installed", "mysql: = 8.0-2 is installed", "wordpress: = 6-3 is installed")
}

// In heat-cfntools any version ended the run: a command for a shell where a
// list was wanted, then a module for comparing that Python 3 does not have.
func TestVersionsWorkWhichEndedHeatCfntools(t *testing.T) {
	s, _ := machine(t, "yum rpm",
		call{"rpm -q --qf FORMAT -- old some", 0, rpmLine("old", "1.9", "1") + absent},
		call{"yum -y install old-1.10 some-3.0-1", 0, ""},
		call{"rpm -q --qf FORMAT -- old some", 0, rpmLine("old", "1.10", "4") + "some\t2\t3.0\t1\tx86_64\n"})
	check(t, s, set("yum", entry("old", "1.9", "1.10", "1.2"), entry("some", "2:3.0-1")),
		"old: upgrade 1.9-1 to 1.10-4", "some: install 2:3.0-1")
}

// heat-cfntools ran "rpm -U --force --nosignature NAME" for each downgrade of
// yum and zypper, since a flag was left on.
func TestDowngradeIsTheManagersAndNotRpmForce(t *testing.T) {
	installed := func(v string) string { return rpmLine("httpd", v, "1") }
	for manager, want := range map[string]string{
		"yum":    "yum -y downgrade httpd-1.0",
		"dnf":    "dnf -y downgrade httpd-1.0",
		"zypper": "zypper -n install --auto-agree-with-licenses --oldpackage -- httpd=1.0",
	} {
		s, _ := machine(t, manager+" rpm", call{"rpm -q --qf FORMAT -- httpd", 0, installed("2.0")},
			call{want, 0, ""}, call{"rpm -q --qf FORMAT -- httpd", 0, installed("1.0")})
		check(t, s, set(manager, entry("httpd", "1.0")), "httpd: downgrade 2.0-1 to 1.0-1")
	}
}

func TestInstallsAndDowngradesAreOneTransactionEach(t *testing.T) {
	query := "rpm -q --qf FORMAT -- "
	s, _ := machine(t, "dnf rpm",
		call{query + "a b c d", 2, rpmLine("c", "2", "1") + rpmLine("d", "2", "1") + absent},
		call{"rpm -q --whatprovides --qf FORMAT -- a", 1, ""},
		call{"rpm -q --whatprovides --qf FORMAT -- b", 1, ""},
		call{"dnf -y install --best a b", 0, ""},
		call{query + "a b", 0, rpmLine("a", "1", "1") + rpmLine("b", "1", "1")},
		call{"dnf -y downgrade c-1 d-1", 0, ""},
		call{query + "c d", 0, rpmLine("c", "1", "1") + rpmLine("d", "1", "1")})
	check(t, s, set("dnf", entry("a"), entry("b"), entry("c", "1"), entry("d", "1")),
		"a: install 1-1", "b: install 1-1", "c: downgrade 2-1 to 1-1", "d: downgrade 2-1 to 1-1")
}

// heat-cfntools looked for yum with which, and ended with a traceback when
// which, or any tool that it needed, was absent.
func TestMissingToolIsOneLineAndWhichIsNotNeeded(t *testing.T) {
	for manager, tool := range map[string]string{
		"apt": "apt-get", "dpkg": "apt-get", "yum": "yum", "dnf": "dnf", "zypper": "zypper", "rpm": "rpm",
		"python": "python3", "rubygems": "gem",
	} {
		s, _ := machine(t, "")
		p := entry("hello", "/srv/hello")
		if manager != "rpm" && manager != "dpkg" {
			p.Versions = nil
		}
		outcomes, err := Apply(t.Context(), s, &fetch.Client{}, set(manager, p))
		want := tool + " is not installed"
		if err != nil || len(outcomes) != 1 || !strings.HasSuffix(outcomes[0].Degraded, want) {
			t.Errorf("Apply(%s) without tools = %+v, %v, want degraded: %s", manager, outcomes, err, want)
		}
	}
}

func TestYumAndDnfStandInForEachOther(t *testing.T) {
	for _, c := range []struct{ manager, tools, want string }{
		{"yum", "yum dnf rpm", "yum -y install a"},
		{"yum", "dnf rpm", "dnf -y install --best a"},
		{"yum", "microdnf rpm", "microdnf -y install a"},
		{"dnf", "yum dnf rpm", "dnf -y install --best a"},
		{"dnf", "dnf5 rpm", "dnf5 -y install --best a"},
		{"dnf", "yum microdnf rpm", "yum -y install a"},
	} {
		s, _ := machine(t, c.tools, call{"rpm -q --qf FORMAT -- a", 1, absent},
			call{"rpm -q --whatprovides --qf FORMAT -- a", 1, ""},
			call{c.want, 0, ""}, call{"rpm -q --qf FORMAT -- a", 0, rpmLine("a", "1", "1")})
		check(t, s, set(c.manager, entry("a")), "a: install 1-1")
	}
}

// heat-cfntools ignored what became of an installation, and exited 0.
func TestFailedInstallationIsReportedAndTheRestInstalled(t *testing.T) {
	query := "rpm -q --qf FORMAT -- "
	s, _ := machine(t, "zypper rpm",
		call{query + "good nosuch bad fine", 4, absent},
		call{"rpm -q --whatprovides --qf FORMAT -- good", 1, ""},
		call{"rpm -q --whatprovides --qf FORMAT -- nosuch", 1, ""},
		call{"rpm -q --whatprovides --qf FORMAT -- bad", 1, ""},
		call{"rpm -q --whatprovides --qf FORMAT -- fine", 1, ""},
		call{"zypper -n install --auto-agree-with-licenses -- good nosuch bad fine", 104, "No provider of 'nosuch' found.\n"},
		call{query + "good nosuch bad fine", 4, absent},
		call{"rpm -q --whatprovides --qf FORMAT -- good", 1, ""},
		call{"rpm -q --whatprovides --qf FORMAT -- nosuch", 1, ""},
		call{"rpm -q --whatprovides --qf FORMAT -- bad", 1, ""},
		call{"rpm -q --whatprovides --qf FORMAT -- fine", 1, ""},
		call{"zypper -n install --auto-agree-with-licenses -- good bad fine", 8, "error: bad-1-1: %pre says no, error\n"},
		call{query + "good bad fine", 2, rpmLine("good", "1", "1") + absent},
		call{"rpm -q --whatprovides --qf FORMAT -- bad", 1, ""},
		call{"rpm -q --whatprovides --qf FORMAT -- fine", 1, ""},
		call{"zypper -n install --auto-agree-with-licenses -- bad", 8, "error: bad-1-1: %pre says no, error\nAbort\n"},
		call{query + "bad", 1, absent},
		call{"rpm -q --whatprovides --qf FORMAT -- bad", 1, ""},
		call{"zypper -n install --auto-agree-with-licenses -- fine", 0, ""},
		call{query + "fine", 0, rpmLine("fine", "1", "1")})
	check(t, s, set("zypper", entry("good"), entry("nosuch"), entry("bad"), entry("fine")),
		"good: install 1-1", "nosuch: ! cannot install nosuch: No provider of 'nosuch' found.",
		"bad: ! cannot install bad: bad-1-1: %pre says no, error", "fine: install 1-1")
}

func TestSuccessIsNotBelievedButLookedUp(t *testing.T) {
	s, _ := machine(t, "yum rpm", call{"rpm -q --qf FORMAT -- a", 0, rpmLine("a", "1", "1")},
		call{"yum -y install a-2", 0, "Complete!\n"}, call{"rpm -q --qf FORMAT -- a", 0, rpmLine("a", "1", "1")})
	check(t, s, set("yum", entry("a", "2")),
		"a: ! cannot install a 2 (1-1 is installed): the package manager reported success, but it is not installed")
}

func TestUnreadableRepositoriesAreTriedOnce(t *testing.T) {
	s, _ := machine(t, "dnf rpm", call{"rpm -q --qf FORMAT -- a b", 0, absent + rpmLine("b", "1", "1")},
		call{"rpm -q --whatprovides --qf FORMAT -- a", 1, ""},
		call{"dnf -y install --best a b-2", 1, "Errors during downloading metadata for repository 'x':\n" +
			"Error: Failed to download metadata for repo 'x': Cannot download repomd.xml: All mirrors were tried\n"},
		call{"rpm -q --qf FORMAT -- a b", 0, absent + rpmLine("b", "1", "1")},
		call{"rpm -q --whatprovides --qf FORMAT -- a", 1, ""})
	const why = "no repository could be read: Failed to download metadata for repo 'x': " +
		"Cannot download repomd.xml: All mirrors were tried"
	check(t, s, set("dnf", entry("a"), entry("b", "2")),
		"a: ! cannot install a: "+why, "b: ! cannot install b 2 (1-1 is installed): "+why)
}

func TestCapabilitiesPathsAndNamesWithVersions(t *testing.T) {
	s, _ := machine(t, "dnf rpm",
		call{"rpm -q --qf FORMAT -- mysql httpd-2.4 httpd vim-9.0-1 vim gcc-c++", 5,
			rpmLine("httpd", "2.4", "7") + rpmLine("vim", "9.1", "1") + rpmLine("gcc-c++", "12", "1") + absent},
		call{"rpm -q --whatprovides --qf FORMAT -- mysql", 0, rpmLine("mariadb", "10.5", "1")},
		call{"rpm -q --whatprovides --qf FORMAT -- /usr/bin/perl", 0, rpmLine("perl", "5", "1")},
		call{"rpm -q --whatprovides --qf FORMAT -- perl(CGI)", 1, ""})
	s.DryRun = true
	check(t, s, set("dnf", entry("mysql"), entry("httpd-2.4"), entry("/usr/bin/perl"), entry("vim-9.0-1"),
		entry("gcc-c++"), entry("perl(CGI)"), entry("@web")),
		"mysql: = mariadb 10.5-1 provides it", "httpd-2.4: = 2.4-7 is installed", "/usr/bin/perl: = perl 5-1 provides it",
		"vim-9.0-1: downgrade 9.1-1 to 9.0-1", "gcc-c++: = 12-1 is installed", "perl(CGI): install",
		"@web: = only the package manager can tell what is missing, and it would ask its repositories")
}

// A group has no entry of its own in the database: whether anything was
// missing shows in what is installed after it.
func TestGroupIsJudgedByWhatItChanges(t *testing.T) {
	for _, c := range []struct{ after, want string }{
		{rpmLine("a", "1", "1"), "@web: = nothing is missing"},
		{rpmLine("a", "1", "1") + rpmLine("b", "1", "1"), "@web: install"},
	} {
		s, _ := machine(t, "dnf rpm", call{"rpm -qa --qf FORMAT", 0, rpmLine("a", "1", "1")},
			call{"dnf -y install --best @web", 0, ""}, call{"rpm -qa --qf FORMAT", 0, c.after})
		check(t, s, set("dnf", entry("@web")), c.want)
	}
}

func TestNamesThatAToolCouldMisread(t *testing.T) {
	for _, c := range []struct{ manager, name, version string }{
		{"apt", "--allow-unauthenticated", ""}, {"apt", "-o", ""}, {"apt", "openssh-server-", ""}, {"apt", "a b", ""},
		{"apt", "~nfoo", ""}, {"apt", "?true", ""}, {"apt", "./x.deb", ""}, {"apt", "a", "-1"}, {"apt", "a", "1 b"},
		{"yum", "--installroot=/x", ""}, {"yum", "a;reboot", ""}, {"yum", "a\nb", ""}, {"dnf", "a", "--x"}, {"dnf", "$(id)", ""},
		{"zypper", "-f", ""}, {"zypper", "!sudo", ""}, {"zypper", "~sudo", ""}, {"zypper", "a b", ""},
		{"python", "-r/etc/passwd", ""}, {"python", "a --global-option=x", ""}, {"python", "a\n-e .", ""}, {"python", "a", "-x"},
		{"rubygems", "-i", ""}, {"rubygems", "../x", ""}, {"rubygems", "a", "-x"}, {"rubygems", "a", "1:b"},
	} {
		s, _ := machine(t, "apt-get yum dnf zypper rpm python3 gem")
		p := entry(c.name)
		if c.version != "" {
			p.Versions = []string{c.version}
		}
		outcomes, err := Apply(t.Context(), s, &fetch.Client{}, set(c.manager, p))
		if err != nil || len(outcomes) != 1 || !strings.Contains(outcomes[0].Degraded, " is not ") {
			t.Errorf("Apply(%s, %q, %q) = %+v, %v, want it refused", c.manager, c.name, c.version, outcomes, err)
		}
	}
}

func TestUnknownManagersAreSkipped(t *testing.T) {
	s, _ := machine(t, "")
	const known = "(known are apt, dnf, dpkg, python, rpm, rubygems, yum, zypper)"
	check(t, s, set("msi", entry("a", "http://host/a.msi"), entry("b")),
		`a: ! unknown package manager "msi" `+known, `b: ! unknown package manager "msi" `+known)
	check(t, s, set("atp", entry("a")), `a: ! unknown package manager "atp": did you mean apt? `+known)
	for _, name := range managers {
		if new(host).manager(name, "") == nil {
			t.Errorf("manager(%s) = nil, want one", name)
		}
	}
	check(t, s, set("apt"))
}

// A run that filled a tree installed packages on the machine that it ran on.
func TestPackagesOfATreeAreNotInstalledOnTheRunningMachine(t *testing.T) {
	s, _ := machine(t, "yum rpm")
	s.Environ = append(s.Environ, InRoot+"=0")
	why := "packages are those of the running machine, not of the tree below " + s.Root + ": not installed"
	check(t, s, set("yum", entry("a"), entry("b")), "a: ! "+why, "b: ! "+why)
	s.DryRun = true
	check(t, s, set("yum", entry("a")), "a: ! "+why)
	s, _ = machine(t, "yum rpm", call{"rpm -q --qf FORMAT -- a", 0, rpmLine("a", "1", "1")})
	s.Root, s.Environ = "/", s.Environ[:len(s.Environ)-1]
	check(t, s, set("yum", entry("a")), "a: = 1-1 is installed")
}

func TestCancelledRunIsAnError(t *testing.T) {
	s, _ := machine(t, "yum rpm")
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("signal")
	s.Run = func(context.Context, sys.Cmd) (sys.Result, error) {
		cancel(why)
		return sys.Result{}, why
	}
	if _, err := Apply(ctx, s, &fetch.Client{}, set("yum", entry("a"))); !errors.Is(err, why) {
		t.Errorf("Apply while cancelled = %v, want %v", err, why)
	}
}
