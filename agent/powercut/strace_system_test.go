//go:build system

package powercut

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// What is recorded of real programs, played whole, is what they have left; and
// what was synced is what they have synced.
func TestRecordIsWhatHappened(t *testing.T) {
	disk := t.TempDir()
	if err := os.Mkdir(filepath.Join(disk, "world"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(disk, "before"), []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := New(disk, filepath.Join(disk, "world"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-ec", `
		echo one >one; echo two >>one; sync one; echo three >>one
		mkdir "$PWD/d"; (echo a >d/a; sync d/a)& (dd if=/dev/zero of=d/b bs=5000 count=3 conv=fsync 2>/dev/null)& wait
		ln -s one s; mv before after; echo more >>after; echo said >world/said
		sync . d; echo x >x; mv x one; rm d/a; truncate -s 3 after; kill -9 $$`)
	cmd.Dir = disk
	var out bytes.Buffer
	cmd.Stderr = &out
	tape := filepath.Join(t.TempDir(), "tape")
	if err := Record(cmd, tape); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Run(); err == nil || err.Error() != "signal: killed" || out.Len() > 0 {
		t.Fatalf("%v: %s", err, out.String())
	}
	if err := m.Read(tape); err != nil {
		t.Fatal(err)
	}
	real := files(t, disk)
	if said := m.Said(m.Moments()-1, "said"); said != real["world/said"] {
		t.Errorf("said %q", said)
	}
	delete(real, "world/said")
	delete(real, "world/")
	all := m.cut(t, m.Moments()-1, Nothing)
	delete(all, "world/")
	if !maps.Equal(all, real) {
		t.Errorf("played there is\n%q\nand in truth\n%q", all, real)
	}
	safe := m.cut(t, m.Moments()-1, Unsynced)
	delete(safe, "world/")
	want := map[string]string{"one": "one\ntwo\n", "d/": "", "d/a": "a\n", "d/b": string(make([]byte, 15000)), "s": "-> one", "after": "before\n"}
	if !maps.Equal(safe, want) {
		t.Errorf("safe is\n%.300q\nwant\n%.300q", safe, want)
	}
}
