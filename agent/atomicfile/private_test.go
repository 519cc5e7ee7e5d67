package atomicfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func modeOf(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode() & (fs.ModePerm | fs.ModeSticky)
}

func TestMkdirPrivateMakesPublicParents(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o077} {
		root := t.TempDir()
		old := syscall.Umask(umask)
		err := MkdirPrivate(filepath.Join(root, "var/cache/app"))
		syscall.Umask(old)
		if err != nil {
			t.Fatal(err)
		}
		for dir, want := range map[string]fs.FileMode{"var": 0o755, "var/cache": 0o755, "var/cache/app": 0o700} {
			if got := modeOf(t, filepath.Join(root, dir)); got != want {
				t.Errorf("umask %03o: mode of %s = %v, want %v", umask, dir, got, want)
			}
		}
	}
}

// What is there is closed to others, its parents and what is shared are not.
func TestMkdirPrivateClosesWhatIsThere(t *testing.T) {
	f := func(mode, want fs.FileMode, inside string) {
		t.Helper()
		parent := filepath.Join(t.TempDir(), "parent")
		dir := filepath.Join(parent, "dir")
		if err := os.MkdirAll(filepath.Join(dir, inside), 0o700); err != nil {
			t.Fatal(err)
		}
		for path, mode := range map[string]fs.FileMode{parent: 0o755, dir: mode} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		if err := MkdirPrivate(dir); err != nil {
			t.Fatal(err)
		}
		if got := modeOf(t, dir); got != want || modeOf(t, parent) != 0o755 {
			t.Errorf("mode of %v with %q inside = %v, parent %v, want %v", mode, inside, got, modeOf(t, parent), want)
		}
	}
	f(0o755, 0o700, "")
	f(0o777, 0o700, "")
	f(0o700, 0o700, "")
	f(0o500, 0o500, "")
	f(0o777|fs.ModeSticky, 0o777|fs.ModeSticky, "")
	f(0o755, 0o755, "another")
}

func TestMkdirPrivateRefusesAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{path, filepath.Join(path, "below")} {
		if err := MkdirPrivate(dir); err == nil {
			t.Errorf("MkdirPrivate(%s) = nil, want an error", dir)
		}
	}
}
