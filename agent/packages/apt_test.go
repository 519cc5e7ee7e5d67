package packages

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/fetch"
	"github.com/cfn-agent/cfn-agent/agent/sys"
)

const (
	debQuery  = "dpkg-query -W -f FORMAT"
	aptConfig = "apt-config shell LISTS Dir::State::lists/d SOURCES Dir::Etc::sourcelist/f PARTS Dir::Etc::sourceparts/d"
	aptUpdate = "apt-get -q -o DPkg::Lock::Timeout=300 update"
)

func debLine(name, version string) string {
	return "install ok installed\t" + name + "\tamd64\t" + version + "\t\n"
}

// lists gives a machine lists of an age.
func lists(t *testing.T, s *sys.System, age time.Duration) {
	t.Helper()
	dir := s.Path("/var/lib/apt/lists")
	if err := os.MkdirAll(filepath.Join(dir, "partial"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "host_dists_x_Packages"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	when := time.Now().Add(-age)
	if err := os.Chtimes(dir, when, when); err != nil {
		t.Fatal(err)
	}
}

// heat-cfntools gave apt-get an environment of one variable, without PATH and
// proxies, asked for no version, did not update lists, and did not wait for
// the lock that apt-daily holds at boot.
func TestAptKeepsItsEnvironmentAndAsksForTheVersion(t *testing.T) {
	s, sc := machine(t, "apt-get",
		call{debQuery, 0, debLine("libc6", "2.36-9")}, call{aptConfig, 1, ""}, call{aptUpdate, 0, ""},
		call{"apt-cache -q madison apache2", 0, " apache2 | 2.4.57-2 | http://mirror.example bookworm/main amd64 Packages\n"},
		call{"apt-get OPTIONS install -- apache2=2.4.57-2 curl", 0, ""},
		call{debQuery, 0, debLine("apache2", "2.4.57-2") + debLine("curl", "7.88")})
	check(t, s, set("apt", entry("apache2", "2.4.57"), entry("curl")), "apache2: install 2.4.57-2", "curl: install 7.88")

	install := sc.seen[4]
	for _, v := range append(slices.Clone(s.Environ), aptEnv...) {
		if !slices.Contains(install.Env, v) {
			t.Errorf("environment of apt-get has no %s: %q", v, install.Env)
		}
	}
	for _, option := range []string{"DPkg::Lock::Timeout=300", "Dpkg::Options::=--force-confold", "Dpkg::Options::=--force-confdef"} {
		if !slices.Contains(install.Args, option) {
			t.Errorf("apt-get %q has no %s", install.Args, option)
		}
	}
	if query := sc.seen[0]; !slices.Contains(query.Env, "LC_ALL=C") {
		t.Errorf("environment of dpkg-query = %q, want LC_ALL=C in it", query.Env)
	}
}

func TestAptUpdatesOnceWhenAPackageIsUnknown(t *testing.T) {
	const unknown = "E: Unable to locate package nosuch\n"
	s, _ := machine(t, "apt-get",
		call{debQuery, 0, ""}, call{aptConfig, 1, ""},
		call{"apt-get OPTIONS install -- nosuch curl", 100, unknown}, call{aptConfig, 1, ""}, call{aptUpdate, 0, ""},
		call{"apt-get OPTIONS install -- nosuch curl", 100, unknown}, call{debQuery, 0, ""},
		call{"apt-get OPTIONS install -- curl", 0, ""}, call{debQuery, 0, debLine("curl", "7.88")})
	lists(t, s, time.Hour)
	check(t, s, set("apt", entry("nosuch"), entry("curl")),
		"nosuch: ! cannot install nosuch: Unable to locate package nosuch", "curl: install 7.88")
}

func TestAptUpdatesOnceWhenAVersionIsUnknown(t *testing.T) {
	const madison = "apt-cache -q madison curl"
	s, _ := machine(t, "apt-get",
		call{debQuery, 0, ""}, call{aptConfig, 1, ""}, call{madison, 0, " curl | 7.88-1 | http://h x Packages\n"},
		call{aptUpdate, 0, ""}, call{madison, 0, " curl | 7.88-1 | http://h x Packages\n curl | 8.0-3 | http://h x Packages\n"},
		call{"apt-get OPTIONS install -- curl=8.0-3", 0, ""}, call{debQuery, 0, debLine("curl", "8.0-3")})
	lists(t, s, time.Hour)
	check(t, s, set("apt", entry("curl", "8.0")), "curl: install 8.0-3")
}

func TestAptDoesNotUpdateTwiceInARun(t *testing.T) {
	s, _ := machine(t, "apt-get",
		call{debQuery, 0, ""}, call{aptConfig, 1, ""},
		call{"apt-get OPTIONS install -- nosuch", 100, "E: Unable to locate package nosuch\n"}, call{debQuery, 0, ""})
	lists(t, s, time.Minute)
	check(t, s, set("apt", entry("nosuch")), "nosuch: ! cannot install nosuch: Unable to locate package nosuch")
}

func TestWhenListsAreStale(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T, s *sys.System)
		want bool
	}{
		{"none", func(*testing.T, *sys.System) {}, true},
		{"of an hour", func(t *testing.T, s *sys.System) { lists(t, s, time.Hour) }, false},
		{"of two days", func(t *testing.T, s *sys.System) { lists(t, s, 48*time.Hour) }, true},
		{"older than a repository", func(t *testing.T, s *sys.System) {
			lists(t, s, time.Hour)
			write(t, s.Path("/etc/apt/sources.list.d/new.list"))
		}, true},
		{"of two days, update that found nothing", func(t *testing.T, s *sys.System) {
			lists(t, s, 48*time.Hour)
			write(t, s.Path("/var/lib/apt/periodic/update-success-stamp"))
		}, false},
		{"only a lock", func(t *testing.T, s *sys.System) {
			write(t, s.Path("/var/lib/apt/lists/lock"))
		}, true},
	} {
		s, _ := machine(t, "apt-get", call{aptConfig, 1, ""})
		c.make(t, s)
		a := &apt{host: &host{System: s}}
		if got := a.lists(t.Context()).stale(); got != c.want {
			t.Errorf("stale with lists %s = %v, want %v", c.name, got, c.want)
		}
	}
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFailedScriptIsNotInstalled(t *testing.T) {
	const out = "hello: preinst fails by design\n" +
		"dpkg: error processing archive /x/hello_1.0-1_all.deb (--unpack):\n" +
		" new hello package pre-installation script subprocess returned error exit status 1\n" +
		"Errors were encountered while processing:\n /x/hello_1.0-1_all.deb\n" +
		"E: Sub-process /usr/bin/dpkg returned an error code (1)\n"
	s, _ := machine(t, "apt-get", call{debQuery, 0, ""}, call{aptConfig, 1, ""},
		call{"apt-get OPTIONS install -- hello", 100, out},
		call{debQuery, 0, "install ok not-installed\thello\tall\t\t\ninstall ok half-configured\thello\tamd64\t1\t\n"})
	lists(t, s, time.Minute)
	check(t, s, set("apt", entry("hello")),
		"hello: ! cannot install hello: new hello package pre-installation script subprocess returned error exit status 1")
}

func TestAptVersionsByTheirBeginning(t *testing.T) {
	s, _ := machine(t, "apt-get", call{debQuery, 0, debLine("apache2", "2.4.57-2") + debLine("curl", "1.18-1") +
		"install ok installed\tpostfix\tamd64\t3.7-2\tdefault-mta, mail-transport-agent (= 1)\n"})
	s.DryRun = true
	check(t, s, set("apt", entry("apache2", "2.4"), entry("curl", "1.1"), entry("mail-transport-agent")),
		"apache2: = 2.4.57-2 is installed, and taken for 2.4", "curl: downgrade 1.18-1 to 1.1",
		"mail-transport-agent: = postfix 3.7-2 provides it")
}

// At boot apt-daily has the lock of the lists, and apt-get does not wait for
// that one whatever its options say.
func TestLocksAreWaitedFor(t *testing.T) {
	for _, c := range []struct {
		manager, tool, text string
		status              int
	}{
		{"apt", "apt-get", "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)\n", 100},
		{"zypper", "zypper", "System management is locked by the application with pid 7 (zypper).\n", 7},
		{"rpm", "rpm", "error: can't create transaction lock on /var/lib/rpm/.rpm.lock\n", 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			busyUntil := time.Now().Add(4 * time.Minute)
			s, _ := machine(t, c.tool)
			runs := 0
			s.Run = func(context.Context, sys.Cmd) (sys.Result, error) {
				if runs++; time.Now().Before(busyUntil) {
					return sys.Result{Status: c.status, Stdout: []byte(c.text)}, nil
				}
				return sys.Result{}, nil
			}
			h := &host{System: s}
			z := func(r sys.Result) bool { return c.manager == "zypper" && r.Status == zypperLocked }
			res, err := h.change(t.Context(), nil, z, c.tool)
			if err != nil || res.Status != 0 || runs < 10 {
				t.Errorf("%s, lock held for 4 minutes: status %d, %v after %d tries, want it to wait", c.manager, res.Status, err, runs)
			}
			busyUntil = time.Now().Add(time.Hour)
			start := time.Now()
			res, err = h.change(t.Context(), nil, z, c.tool)
			if took := time.Since(start); err != nil || res.Status != c.status || took > lockLimit {
				t.Errorf("%s, lock held for an hour: status %d, %v after %v, want %d within %v", c.manager, res.Status, err, took, c.status, lockLimit)
			}
		})
	}
}

func TestZypperStatusesThatAreSuccess(t *testing.T) {
	for _, status := range []int{0, zypperReboot, zypperRestart, zypperSkipped} {
		s, _ := machine(t, "zypper rpm", call{"rpm -qa --qf FORMAT", 0, ""},
			call{"zypper -n install --auto-agree-with-licenses -- pattern:lamp", status, "a note\n"},
			call{"rpm -qa --qf FORMAT", 0, rpmLine("a", "1", "1")})
		check(t, s, set("zypper", entry("pattern:lamp")), "pattern:lamp: install")
	}
}

// A database that a package's script makes takes its encoding from LC_ALL.
func TestScriptsOfPackagesKeepTheLocale(t *testing.T) {
	for _, c := range []struct{ env, want string }{
		{"PATH=/bin LANG=de_DE.UTF-8", "PATH=/bin LANG=de_DE.UTF-8 LC_MESSAGES=C"},
		{"LC_ALL=fr_FR.UTF-8 LANG=C LC_TIME=C A=1", "A=1 LANG=fr_FR.UTF-8 LC_MESSAGES=C"},
		{"LANGUAGE=de LC_MESSAGES=de_DE LC_TIME=C", "LC_TIME=C LC_MESSAGES=C"},
	} {
		if got := strings.Join(messagesInC(strings.Fields(c.env)), " "); got != c.want {
			t.Errorf("messagesInC(%s) = %s, want %s", c.env, got, c.want)
		}
	}
}

func TestDownloadErrorsHideSignatures(t *testing.T) {
	s, _ := machine(t, "rpm")
	const url = "https://user:hunter2hunter2@127.0.0.1:1/a.rpm?X-Amz-Signature=0123456789abcdef"
	outcomes, err := Apply(t.Context(), s, &fetch.Client{Retry: once()}, set("rpm", entry("a", url)))
	if err != nil || len(outcomes) != 1 || !strings.Contains(outcomes[0].Degraded, "https://127.0.0.1:1/a.rpm") {
		t.Fatalf("Apply with an unreachable file = %+v, %v, want degraded", outcomes, err)
	}
	for _, secret := range []string{"hunter2", "0123456789abcdef"} {
		if strings.Contains(outcomes[0].Degraded, secret) {
			t.Errorf("Degraded = %s, which has %s in it", outcomes[0].Degraded, secret)
		}
	}
}
