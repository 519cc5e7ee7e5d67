package sys

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestPathIsBelowRoot(t *testing.T) {
	f := func(root, path, want string) {
		t.Helper()
		if got := (&System{Root: root}).Path(path); got != want {
			t.Errorf("Path(%q) below %q = %q, want %q", path, root, got, want)
		}
	}
	f("", "/etc/motd", "/etc/motd")
	f("/", "/etc/../etc//motd", "/etc/motd")
	f("/tmp/r", "/etc/motd", "/tmp/r/etc/motd")
	f("/tmp/r", "/../../etc/motd", "/tmp/r/etc/motd")
}

func TestFileModeAndBack(t *testing.T) {
	for _, bits := range []uint32{0, 0o644, 0o4755, 0o2750, 0o1777, 0o7777} {
		if got := Bits(FileMode(bits)); got != bits {
			t.Errorf("Bits(FileMode(%o)) = %o", bits, got)
		}
	}
	if got := FileMode(0o4755); got != 0o755|fs.ModeSetuid {
		t.Errorf("FileMode(4755) = %v", got)
	}
}

func TestAccountsBelowRoot(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	passwd := "root:x:0:0::/root:/bin/sh\nweb:x:1001:1002:Web:/srv:/bin/sh\nbroken:x:no:1::/:/bin/sh\n"
	if err := os.WriteFile(filepath.Join(root, "etc/passwd"), []byte(passwd), 0o644); err != nil {
		t.Fatal(err)
	}
	s := &System{Root: root, Run: Exec}
	for name, want := range map[string]int{"web": 1001, "1001": 1001, "77": 77, "root": 0} {
		if got, err := s.UID(t.Context(), name); err != nil || got != want {
			t.Errorf("UID(%s) = %d, %v, want %d", name, got, err, want)
		}
	}
	for _, name := range []string{"nobody-here", "broken", "-1", "99999999999", ""} {
		_, err := s.UID(t.Context(), name)
		if _, ok := errors.AsType[*UnknownAccountError](err); !ok {
			t.Errorf("UID(%q) = %v, want an UnknownAccountError", name, err)
		}
	}
}

func TestMaskHidesSecretsInWholeLines(t *testing.T) {
	mask := NewMask([]string{"short", "longer-secret", "longer-secret-2", "longer-secret"})
	if got := mask.String("a longer-secret-2 b longer-secret short"); got != "a "+Masked+" b "+Masked+" short" {
		t.Errorf("String = %q", got)
	}
	var none *Mask
	if got := none.String("x"); got != "x" {
		t.Errorf("nil Mask: %q", got)
	}
	out := &recorder{}
	w := mask.Writer(out)
	for _, part := range []string{"one longer-", "secret two\nthr", "ee longer-secret"} {
		if n, err := w.Write([]byte(part)); err != nil || n != len(part) {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	if got := out.text; got != "one "+Masked+" two\n" {
		t.Errorf("before Close: %q", got)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := out.text; got != "one "+Masked+" two\nthree "+Masked {
		t.Errorf("after Close: %q", got)
	}
}

type recorder struct{ text string }

func (r *recorder) Write(p []byte) (int, error) { r.text += string(p); return len(p), nil }
