//go:build system

package sources

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/cfn-agent/cfn-agent/agent/mountns"
)

// TestMounts runs itself in a mount namespace of its own; it needs root or
// user namespaces.
func TestMounts(t *testing.T) {
	if !mountns.Enter(t) {
		return
	}
	t.Run("the directory is a mount", func(t *testing.T) {
		s := system(t)
		mount(t, s.Path("/srv/app"), "")
		src := give(t, s, makeTar(t, file("d/x", "1")), "a")
		changed(t, s, src, true)
		changed(t, s, src, false)
		expectTree(t, s, "/srv", "app dtrwxrwxrwx", "app/d drwxr-xr-x", "app/d/x -rw-r--r-- 1")
	})
	t.Run("a mount below the directory", func(t *testing.T) {
		s := system(t)
		mount(t, s.Path("/srv/app/m"), "")
		src := give(t, s, makeTar(t, file("m/x", "1"), withMode(file("m/ro", "2"), 0o400), link("m/l", "x"), file("y", "3")), "a")
		changed(t, s, src, true)
		changed(t, s, src, false)
		expectTree(t, s, "/srv/app", "m dtrwxrwxrwx", "m/l Lrwxrwxrwx -> x", "m/ro -r-------- 2", "m/x -rw-r--r-- 1", "y -rw-r--r-- 3")
	})
	t.Run("the disk is full", func(t *testing.T) {
		s := system(t)
		mount(t, s.Path("/srv"), "size=64k")
		put(t, s, "/srv/app/there", "old")
		o := run(t, s, give(t, s, makeTar(t, file("ok", "x"), file("big", strings.Repeat("x", 100<<10))), "a"))
		if want := `unpack file:///in/a: member "big": no space left on device: /srv/app is left as it is`; o.Degraded != want || o.Changed {
			t.Errorf("outcome = %+v, want degraded: %s", o, want)
		}
		expectTree(t, s, "/srv", "app drwxr-xr-x", "app/there -rw-r--r-- old")
	})
}

func mount(t *testing.T, dir, options string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
}
