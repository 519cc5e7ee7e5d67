package packages

import (
	"cmp"
	"strings"
	"testing"

	"github.com/cfn-agent/cfn-agent/agent/retry"
)

func once() retry.Policy { return retry.Policy{Tries: 1} }

// The pairs are of rpm's own documentation of versions and its test suite
// (rpmvercmp.at).
func TestRPMOrder(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"1.0", "1.0", 0}, {"1.0", "2.0", -1}, {"2.0.1", "2.0", 1}, {"5.5p1", "5.5p10", -1}, {"10xyz", "10.1xyz", -1},
		{"xyz10", "xyz10.1", -1}, {"1.10", "1.9", 1}, {"20101121", "20101122", -1}, {"2_0", "2.0", 0}, {"1.0", "1.fc4", 1},
		{"1.0~rc1", "1.0", -1}, {"1.0~rc1", "1.0~rc2", -1}, {"1.0~rc1~git123", "1.0~rc1", -1},
		{"1.0^", "1.0", 1}, {"1.0^git1", "1.0^git2", -1}, {"1.0^git1", "1.01", -1}, {"1.0^20160101", "1.0.1", -1},
		{"1.0~rc1^git1", "1.0~rc1", 1}, {"1.0^git1~pre", "1.0^git1", -1},
		{"1:1.0-1", "2.0-1", 1}, {"0:2.0-1", "2.0-1", 0}, {"1.0-2", "1.0-10", -1}, {"1.0-1.el9", "1.0-1.el9_1", -1},
	} {
		if got := orderRPM(c.a, c.b); got != c.want {
			t.Errorf("orderRPM(%s, %s) = %d, want %d", c.a, c.b, got, c.want)
		}
		if got := orderRPM(c.b, c.a); got != -c.want {
			t.Errorf("orderRPM(%s, %s) = %d, want %d", c.b, c.a, got, -c.want)
		}
	}
}

func TestWhatIsNotAskedForDoesNotCount(t *testing.T) {
	for _, c := range []struct {
		asked, installed string
		want             int
	}{
		{"1.0", "1.0-7", 0}, {"1.0-7", "1.0-7", 0}, {"1.0-6", "1.0-7", -1}, {"1.0", "3:1.0-7", 0}, {"3:1.0", "3:1.0-7", 0},
		{"2:1.0", "3:1.0-7", -1}, {"4:0.1", "3:1.0-7", 1}, {"1:1.0", "1.0-7", 1}, {"0:1.0", "1.0-7", 0}, {"1.1", "1.18-1", -1},
	} {
		if got := compareRPM(c.asked, c.installed); got != c.want {
			t.Errorf("compareRPM(%s, %s) = %d, want %d", c.asked, c.installed, got, c.want)
		}
	}
}

func TestHighestOfAList(t *testing.T) {
	for list, want := range map[string]string{
		"": "", "1.9 1.10 1.2": "1.10", "2.0 1:1.0": "1:1.0", "1.0 1.0~rc1": "1.0", "1.0-2 1.0-10": "1.0-10",
	} {
		if got := highestRPM(strings.Fields(list)); got != want {
			t.Errorf("highestRPM(%s) = %s, want %s", list, got, want)
		}
	}
}

func TestDebianVersionsThatFit(t *testing.T) {
	for _, c := range []struct {
		asked, version string
		want           int
	}{
		{"1.0-1", "1.0-1", exactFit}, {"1.0", "1.0-1", exactFit}, {"1.0", "1:1.0-1", exactFit}, {"1:1.0-1", "1:1.0-1", exactFit},
		{"1.0-1", "1.0-10", noFit}, {"1.1", "1.18-1", noFit}, {"2:1.0", "1:1.0", noFit}, {"1.0-2", "1.0-1", noFit},
		{"2.4", "2.4.57-2", prefixFit}, {"1.0", "1.0~rc1-1", noFit}, {"1.0-1", "1.0-1ubuntu2", noFit},
		{"1.0-1", "1.0-1+b1", prefixFit}, {"7.0", "7.0-rc-1", prefixFit}, {"", "1.0", noFit},
	} {
		if got := fits(c.asked, c.version); got != c.want {
			t.Errorf("fits(%s, %s) = %d, want %d", c.asked, c.version, got, c.want)
		}
	}
	versions := strings.Fields("2.4.9-1 2.4.57-2 2.4.57-10 2.5-1")
	for asked, want := range map[string]string{"2.4.57": "2.4.57-10", "2.4": "2.4.57-10", "2.4.9": "2.4.9-1", "2.6": ""} {
		if got, _ := bestDeb(asked, versions); got != want {
			t.Errorf("bestDeb(%s) = %s, want %s", asked, got, want)
		}
	}
}

func TestDebianOrder(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"1.0-1", "1.0-2", -1}, {"1.0~rc1", "1.0", -1}, {"1:0.1", "2.0", 1}, {"1.10", "1.9", 1}, {"1.0+dfsg", "1.0", 1}, {"x", "1", 0},
	} {
		if got := cmp.Compare(compareDeb(c.a, c.b), 0); got != c.want {
			t.Errorf("compareDeb(%s, %s) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestPythonVersionsAndNames(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"1.0", "1.0.0", true}, {"1", "1.0", true}, {"1.0", "1.01", false}, {"v1.0", "1.0", true}, {"1.0RC1", "1.0rc1", true}, {"10", "1", false}} {
		if got := sameVersion(c.a, c.b); got != c.want {
			t.Errorf("sameVersion(%s, %s) = %v, want %v", c.a, c.b, got, c.want)
		}
	}
	if got := canonical("Ruamel._Yaml"); got != "ruamel-yaml" {
		t.Errorf("canonical(Ruamel._Yaml) = %s, want ruamel-yaml", got)
	}
}

func TestTheLineThatSaysWhy(t *testing.T) {
	for _, c := range []struct{ name, output, want string }{
		{"nosuch", "Reading package lists...\nW: x\nE: Unable to locate package nosuch\n", "Unable to locate package nosuch"},
		{"hello", "error: lua script failed: [string \"%prein(hello-1.0-1.noarch)\"]:1: no\nerror: hello-1.0-1.noarch: install failed\n",
			`lua script failed: [string "%prein(hello-1.0-1.noarch)"]:1: no`},
		{"a", "a : Depends: b but it is not installable\nE: Unable to correct problems, you have held broken packages.\n",
			"a : Depends: b but it is not installable"},
		{"a", "Error: \n Problem: conflicting requests\n  - nothing provides b needed by a-1.0-1.noarch\n(try to add '--skip-broken')\n",
			"- nothing provides b needed by a-1.0-1.noarch"},
		{"a", "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem.\n",
			"dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem."},
		{"a", "something\nelse\n", "else"},
		{"a", "Reading ... 5%\rReading ... 100%\r\x1b[1merror: no space left\x1b[0m\n", "[1merror: no space left[0m"},
		{"a", "\n", "the package manager failed without a word"},
	} {
		if got := lastError(c.output, c.name); got != c.want {
			t.Errorf("lastError(%q, %s) = %q, want %q", c.output, c.name, got, c.want)
		}
	}
}

func TestALineNamesAPackageAndNotItsNamesake(t *testing.T) {
	for _, c := range []struct {
		line, name string
		want       bool
	}{
		{"nothing provides x needed by hello-needy-1.0-1.noarch", "hello-needy", true},
		{"nothing provides x needed by hello-needy-1.0-1.noarch", "hello", false},
		{"Unable to locate package hello", "hello", true}, {"package 'hello'", "hello", true}, {"othello failed", "hello", false},
		{"hello_1.0_all.deb", "hello", true}, {"cannot install hello.", "hello", true}, {"lib-hello", "hello", false},
		{"hello-needy and hello", "hello", true}, {"", "hello", false},
	} {
		if got := names(c.line, c.name); got != c.want {
			t.Errorf("names(%s, %s) = %v, want %v", c.line, c.name, got, c.want)
		}
	}
	const out = "No match for argument: hello-needy\nNo match for argument: x y\n"
	texts := []string{"No match for argument: %s"}
	for spec, want := range map[string]string{"hello": "", "hello-needy": "No match for argument: hello-needy", "x": "No match for argument: x y"} {
		if got := says(out, texts, spec); got != want {
			t.Errorf("says(%s) = %q, want %q", spec, got, want)
		}
	}
}

// Whatever a tool writes is read without a panic, and a reason is one line
// that is not endless.
func FuzzOutput(f *testing.F) {
	f.Add("E: Unable to locate package nosuch\n", "nosuch")
	f.Add("hello\t(none)\t1.0\t1\tnoarch\n", "hello-1.0-1")
	f.Add("install ok installed\thello\tall\t1:1.0-1\tmta, agent (= 1)\n", "hello")
	f.Add(" hello | 2.0-1 | file:/x ./ Packages\n", "hello")
	f.Add("rake (13.0.6, default: 12.3.3)\nnokogiri (1.15.4 x86_64-linux)\n", "rake")
	f.Fuzz(func(t *testing.T, out, name string) {
		why := lastError(out, name)
		if why == "" || strings.ContainsAny(why, "\n\r\x1b") || len(why) > maxReason+3 {
			t.Errorf("lastError(%q, %q) = %q, want one short line", out, name, why)
		}
		says(out, []string{"for '%s' was", "match: %s"}, name)
		for _, p := range parseRPM([]byte(out)) {
			p.is(name)
			compareRPM(name, p.evr())
		}
		for _, versions := range parseDebs([]byte(out)).versions {
			bestDeb(name, versions)
		}
		for _, versions := range parseMadison([]byte(out)) {
			bestDeb(name, versions)
		}
		parseGems([]byte(out))
	})
}
