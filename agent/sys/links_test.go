package sys

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// The links of these tests belong to whoever runs them, who may not be root:
// trusted stands for that.
func TestForeignLinkIsNotFollowed(t *testing.T) {
	root := t.TempDir()
	for dir, mode := range map[string]fs.FileMode{"tmp": 0o777 | fs.ModeSticky, "open": 0o777, "home": 0o755, "target/sub": 0o755} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(root, dir), mode); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		"tmp/up": "../target", "tmp/abs": root + "/target", "home/by": "../tmp/up", "home/l": "../target", "open/l": "../target", "tmp/loop": "loop",
	} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	nobody := func(int) bool { return false }
	for dir, want := range map[string]string{
		"/tmp/up": "tmp/up", "/tmp/up/sub/new": "tmp/up", "/tmp/abs/sub": "tmp/abs", "/home/by/sub": "tmp/up", "/tmp/../tmp/up": "tmp/up", "/tmp/loop": "tmp/loop",
		"/home/l/sub": "", "/open/l/sub": "", "/tmp/new/sub": "", "/tmp": "", "/": "", "/target/sub": "",
	} {
		err := foreignLink(root, dir, nobody)
		var got string
		if foreign, ok := errors.AsType[*ForeignLinkError](err); ok {
			got = foreign.Path
		}
		if want != "" {
			want = filepath.Join(root, want)
		}
		if got != want {
			t.Errorf("foreignLink(%s) = %v, want link %q refused", dir, err, want)
		}
		if err := foreignLink(root, dir, func(uid int) bool { return uid == os.Geteuid() }); err != nil {
			t.Errorf("foreignLink(%s) of a trusted user = %v, want nil", dir, err)
		}
	}
}

func TestCheckLinksTrustsRoot(t *testing.T) {
	root := t.TempDir()
	s := &System{Root: root}
	tmp := filepath.Join(root, "tmp")
	if err := os.Mkdir(tmp, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(tmp, 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/", filepath.Join(tmp, "l")); err != nil {
		t.Fatal(err)
	}
	if err := s.CheckLinks("/tmp/l/etc", nil); err != nil {
		t.Errorf("CheckLinks through one's own link = %v, want nil", err)
	}
	if os.Geteuid() != 0 {
		return // only root can make the link of another
	}
	if err := os.Lchown(filepath.Join(tmp, "l"), 1234, 1234); err != nil {
		t.Fatal(err)
	}
	want := tmp + "/l is a symbolic link of user 1234 in a directory that everybody may write to: it is not followed"
	if err := s.CheckLinks("/tmp/l/etc", nil); err == nil || err.Error() != want {
		t.Errorf("CheckLinks = %v, want %s", err, want)
	}
	if err := s.CheckLinks("/tmp/l/etc", func(uid int) bool { return uid == 1234 }); err != nil {
		t.Errorf("CheckLinks through the link of a trusted user = %v, want nil", err)
	}
}
