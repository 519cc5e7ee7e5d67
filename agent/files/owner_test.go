package files

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// heat-cfntools wrote through a symbolic link that was at the path.
func TestSymlinkAtThePathIsReplacedNotFollowed(t *testing.T) {
	s := system(t)
	put(t, s, "/target", "untouched", 0o640)
	if err := os.Symlink("target", s.Path("/a")); err != nil {
		t.Fatal(err)
	}
	expect(t, apply(t, s, withMode(file("/a", "new"), 0o600)), "replace the symbolic link by a file", true, true)
	if got := get(t, s, "/target"); got != "untouched" || mode(t, s, "/target") != 0o640 {
		t.Errorf("the link's target holds %q with mode %v, want it untouched", got, mode(t, s, "/target"))
	}
	if m := mode(t, s, "/a"); m != 0o600 {
		t.Errorf("mode = %v, want a regular file 0600", m)
	}
}

// aws-cfn-bootstrap gave the link's mode to what it points to;
// heat-cfntools wrote the target's name into a regular file.
func TestSymlinkLeavesTheTargetAlone(t *testing.T) {
	s := system(t)
	put(t, s, "/target", "x", 0o640)
	expect(t, apply(t, s, symlink("/l", s.Path("/target"))), "link to "+s.Path("/target"), true, true)
	if got, err := os.Readlink(s.Path("/l")); err != nil || got != s.Path("/target") || mode(t, s, "/target") != 0o640 {
		t.Errorf("link = %q, %v, target's mode %v, want a link and 0640", got, err, mode(t, s, "/target"))
	}
	expect(t, apply(t, s, symlink("/l", "elsewhere\n")), "link to elsewhere", true, true)
	put(t, s, "/f", "a file", 0o644)
	expect(t, apply(t, s, symlink("/f", "/dangling")), "link to /dangling", true, true)
	if got, err := os.Readlink(s.Path("/f")); got != "/dangling" {
		t.Errorf("Readlink = %q, %v, want /dangling", got, err)
	}
	left, _ := filepath.Glob(s.Path("/.cfn-*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestUnknownOwnerIsDegraded(t *testing.T) {
	s := system(t)
	f := file("/a", "x")
	f.Owner, f.Group = "nobody-here", "none-here"
	o := apply(t, s, f)
	const want = `unknown user "nobody-here": the owner is left as it is; unknown group "none-here": the group is left as it is`
	if o.Degraded != want || !o.Changed || get(t, s, "/a") != "x" {
		t.Errorf("outcome = %+v, want the file written and %s", o, want)
	}
	if again := apply(t, s, f); again.Changed || again.Degraded != want {
		t.Errorf("second outcome = %+v, want no change, degraded", again)
	}
}

func owner(t *testing.T, s *sys.System, path string) [2]uint32 {
	t.Helper()
	info, err := os.Lstat(s.Path(path))
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	return [2]uint32{st.Uid, st.Gid}
}

// Both outcomes are right: a process that is not root cannot give files away.
func TestOwner(t *testing.T) {
	s := system(t)
	f := withMode(file("/a", "x"), 0o4750)
	f.Owner, f.Group = "app", "2345"
	o := apply(t, s, f)
	if os.Geteuid() != 0 {
		const want = "the owner cannot be app: not running as root; the group cannot be 2345: not running as root"
		if o.Degraded != want || get(t, s, "/a") != "x" {
			t.Errorf("outcome = %+v, want degraded: %s", o, want)
		}
		return
	}
	if got := owner(t, s, "/a"); got != [2]uint32{1234, 2345} || sys.Bits(mode(t, s, "/a")) != 0o4750 {
		t.Errorf("owner = %v, mode %v, want 1234:2345 with 4750", got, mode(t, s, "/a"))
	}
	expect(t, apply(t, s, f), "", false, false)
	f.Owner = "root"
	expect(t, apply(t, s, f), "change owner", true, false)
	if got := owner(t, s, "/a"); got != [2]uint32{0, 2345} || sys.Bits(mode(t, s, "/a")) != 0o4750 {
		t.Errorf("owner = %v, mode %v, want 0:2345, setuid kept", got, mode(t, s, "/a"))
	}
	f.Owner, f.Group, f.Content = "", "", []byte("y")
	apply(t, s, f)
	if got := owner(t, s, "/a"); got != [2]uint32{0, 2345} {
		t.Errorf("owner after a write that names none = %v, want 0:2345 kept", got)
	}
	l := symlink("/l", "a")
	l.Owner = "app"
	apply(t, s, l)
	if got := owner(t, s, "/l"); got[0] != 1234 || owner(t, s, "/a")[0] != 0 {
		t.Errorf("owner of the link = %v, of its target %v, want 1234 and 0", got, owner(t, s, "/a"))
	}
	l.Owner = "root"
	expect(t, apply(t, s, l), "change owner", true, false)
}
