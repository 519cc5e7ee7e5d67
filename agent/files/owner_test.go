package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cfn-agent/cfn-agent/agent/fetch"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// heat-cfntools wrote through a symbolic link that was at the path.
func TestSymlinkAtThePathIsReplacedNotFollowed(t *testing.T) {
	s := system(t)
	put(t, s, "/target", "untouched", 0o640)
	if err := os.Symlink("target", s.Path("/a")); err != nil {
		t.Fatal(err)
	}
	expect(t, apply(t, s, withMode(file("/a", "new"), 0o600)), "replace the symbolic link by a file, mode 0600", true, true)
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
	expect(t, apply(t, s, f), "owner root", true, false)
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
	expect(t, apply(t, s, l), "owner root", true, false)
}

// A file with the right content was given to its new owner as it was, so that
// the old one, who had it open, could go on to write to it.
func TestNobodyKeepsWritingToAFileThatChangesHands(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o022)) // a file without a mode has it of this
	s := system(t)
	f := func(what string, file metadata.File, uid int) {
		t.Helper()
		old, err := os.OpenFile(s.Path(file.Path), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer old.Close()
		if o := apply(t, s, file); !o.Changed || o.Trigger {
			t.Errorf("%s: outcome = %+v, want a change that restarts nothing", what, o)
		}
		if _, err := old.WriteString("evil"); err != nil {
			t.Fatal(err)
		}
		got := owner(t, s, file.Path)
		if get(t, s, file.Path) != "good" || got[0] != uint32(uid) || mode(t, s, file.Path) != 0o644 {
			t.Errorf("%s: the file holds %q, mode %v, owner %v, want good, 0644, %d",
				what, get(t, s, file.Path), mode(t, s, file.Path), got, uid)
		}
		if again := apply(t, s, file); again.Changed {
			t.Errorf("%s: second outcome = %+v, want no change", what, again)
		}
	}
	put(t, s, "/open", "good", 0o666)
	f("one that all might write to", withMode(file("/open", "good"), 0o644), os.Geteuid())
	if os.Geteuid() != 0 {
		return // only root can make a file of another
	}
	chown := func(path string, bits fs.FileMode) {
		t.Helper()
		put(t, s, path, "good", 0o644)
		if err := errors.Join(os.Chown(s.Path(path), 1234, 2345), os.Chmod(s.Path(path), sys.FileMode(uint32(bits)))); err != nil {
			t.Fatal(err)
		}
	}
	chown("/a", 0o644)
	owned := withMode(file("/a", "good"), 0o644)
	owned.Owner = "root"
	f("another owner", owned, 0)
	// In /tmp nobody but its own user has put it there, mode and all.
	put(t, s, "/tmp/x", "", 0o600)
	if err := os.Chmod(s.Path("/tmp"), 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	chown("/tmp/a", 0o4755)
	f("no owner, in /tmp", file("/tmp/a", "good"), 0)
	chown("/tmp/b", 0o644)
	unknown := file("/tmp/b", "good")
	unknown.Owner = "nobody-here"
	f("an unknown owner, in /tmp", unknown, 0)
	chown("/tmp/c", 0o644)
	mine := file("/tmp/c", "good")
	mine.Owner = "app"
	expect(t, apply(t, s, mine), "", false, false)
	chown("/etc/kept", 0o644)
	expect(t, apply(t, s, file("/etc/kept", "good")), "", false, false)
}

// A link in /tmp that another user made led root's files to where it pointed.
func TestLinkOfAnotherUserInTmpIsNotFollowed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make the link of another user")
	}
	s := system(t)
	put(t, s, "/etc/cron.d/there", "x", 0o644)
	put(t, s, "/tmp/x", "", 0o600)
	if err := os.Chmod(s.Path("/tmp"), 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"/tmp/app": "../etc/cron.d", "/run-link": "etc"} {
		if err := os.Symlink(target, s.Path(link)); err != nil {
			t.Fatal(err)
		}
		if err := os.Lchown(s.Path(link), 1234, 2345); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"/tmp/app/new", "/tmp/app/there", "/tmp/app/sub/new"} {
		want := "write " + path + ": " + s.Path("/tmp/app") + " is a symbolic link of user 1234 in a directory that everybody may write to: it is not followed"
		o, err := Apply(t.Context(), s, new(fetch.Client), withMode(file(path, "x"), 0o600))
		if err == nil || err.Error() != want || o.Changed {
			t.Errorf("Apply = %+v, %v, want %s", o, err, want)
		}
	}
	if mode(t, s, "/etc/cron.d/there") != 0o644 {
		t.Error("a file behind the link was changed")
	}
	expect(t, apply(t, s, file("/run-link/ok", "x")), "create", true, true)
	f := file("/tmp/app/of-app", "x")
	f.Owner = "app"
	// The kernel may refuse what this program does not.
	if _, err := Apply(t.Context(), s, new(fetch.Client), f); err != nil && !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Apply for the owner of the link = %v, want it followed", err)
	}
}
