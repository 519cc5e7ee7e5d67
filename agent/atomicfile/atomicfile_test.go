package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestWriteReplacesWholeWithExactMode(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, mode := range []fs.FileMode{0o400, 0o644, 0o755 | fs.ModeSetuid, 0o666, 0} {
		if err := Write(path, []byte(mode.String()), KeepOwner(mode)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode() != mode {
			t.Errorf("mode = %v, %v, want %v", info.Mode(), err, mode)
		}
	}
	if names := entries(t, dir); len(names) != 1 {
		t.Errorf("directory holds %q, want f alone", names)
	}
}

// A brokenReader fails half way, and looks at the directory before it does.
type brokenReader struct {
	look func()
	read bool
}

func (b *brokenReader) Read(p []byte) (int, error) {
	if b.read {
		b.look()
		return 0, errors.New("cut")
	}
	b.read = true
	return copy(p, "half"), nil
}

func TestWriteFailsLeavingOldFileAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := Write(path, []byte("old"), KeepOwner(0o644)); err != nil {
		t.Fatal(err)
	}
	var during []string
	look := func() {
		for _, name := range entries(t, dir) {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				t.Error(err)
			}
			if name != "f" && info.Mode().Perm() != 0o600 {
				t.Errorf("temporary file %s has mode %v while it is written", name, info.Mode())
			}
			during = append(during, name)
		}
	}
	err := WriteFrom(path, &brokenReader{look: look}, KeepOwner(0o644))
	if err == nil || !strings.Contains(err.Error(), "cut") {
		t.Errorf("WriteFrom = %v, want the reader's error", err)
	}
	if len(during) != 2 {
		t.Errorf("while writing the directory held %q, want two files", during)
	}
	if data, _ := os.ReadFile(path); string(data) != "old" {
		t.Errorf("file = %q, want the old one", data)
	}
	if names := entries(t, dir); len(names) != 1 {
		t.Errorf("directory holds %q, want f alone", names)
	}
}

func TestWriteReplacesSymlinkAndNotItsTarget(t *testing.T) {
	dir := t.TempDir()
	target, path := filepath.Join(dir, "target"), filepath.Join(dir, "f")
	if err := Write(target, []byte("target"), KeepOwner(0o644)); err != nil {
		t.Fatal(err)
	}
	if err := Symlink("target", path, -1, -1); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []byte("new"), KeepOwner(0o644)); err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(target)
	info, err := os.Lstat(path)
	if string(data) != "target" || err != nil || !info.Mode().IsRegular() {
		t.Errorf("target = %q, path is %v, %v; want the link replaced", data, info.Mode(), err)
	}
}

func TestSymlinkReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "l")
	for _, target := range []string{"a", "b"} {
		if err := Symlink(target, path, -1, -1); err != nil {
			t.Fatal(err)
		}
		if got, err := os.Readlink(path); err != nil || got != target {
			t.Errorf("link = %q, %v, want %q", got, err, target)
		}
	}
	if names := entries(t, dir); len(names) != 1 {
		t.Errorf("directory holds %q, want l alone", names)
	}
}

func TestSweepRemovesOnlyLeftovers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"f", ".f123", ".f12x", ".f", ".g123", "f123", ".cfn-link-77"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Sweep(filepath.Join(dir, "f")); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(entries(t, dir), " "); got != ".f .f12x .g123 f f123" {
		t.Errorf("after Sweep: %s", got)
	}
	if err := Sweep(filepath.Join(dir, "absent", "f")); err != nil {
		t.Errorf("Sweep in an absent directory = %v, want nil", err)
	}
}

// What Sweep looks for is what a write that is killed leaves.
func TestSweepKnowsTheNamesOfTemporaryFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	var left string
	r := io.MultiReader(strings.NewReader("x"), &brokenReader{look: func() {
		for _, name := range entries(t, dir) {
			left = name
		}
		if err := Sweep(path); err != nil {
			t.Error(err)
		}
		if names := entries(t, dir); len(names) != 0 {
			t.Errorf("Sweep left %q", names)
		}
	}})
	_ = WriteFrom(path, r, KeepOwner(0o600))
	if left == "" {
		t.Error("there was no temporary file")
	}
}
