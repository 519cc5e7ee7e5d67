//go:build system

package files

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/cfn-agent/cfn-agent/agent/fetch"
	"github.com/cfn-agent/cfn-agent/agent/mountns"
)

// TestDiskFull runs itself in a mount namespace of its own, with a file system
// of 64 KiB; it needs root or user namespaces.
func TestDiskFull(t *testing.T) {
	if !mountns.Enter(t) {
		return
	}
	s := system(t)
	s.Root = t.TempDir()
	if err := syscall.Mount("tmpfs", s.Root, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	defer syscall.Unmount(s.Root, syscall.MNT_DETACH)
	put(t, s, "/a", "old", 0o640)
	full := file("/a", strings.Repeat("x", 100<<10))
	_, err := Apply(t.Context(), s, new(fetch.Client), full)
	if want := "write /a: no space left on device (what was there is unchanged)"; err == nil || err.Error() != want {
		t.Errorf("Apply on a full disk = %v, want %s", err, want)
	}
	if err := syscall.Mount("", s.Root, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	_, err = Apply(t.Context(), s, new(fetch.Client), file("/a", "new"))
	if want := "write /a: read-only file system (what was there is unchanged)"; err == nil || err.Error() != want {
		t.Errorf("Apply on a read-only disk = %v, want %s", err, want)
	}
	entries, _ := os.ReadDir(s.Root)
	if get(t, s, "/a") != "old" || mode(t, s, "/a") != 0o640 || len(entries) != 1 {
		t.Errorf("after that there is %q, %v, want the old file alone", get(t, s, "/a"), entries)
	}
}
