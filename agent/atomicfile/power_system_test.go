//go:build system

package atomicfile

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cfn-agent/cfn-agent/agent/powercut"
)

const powerDir = "CFN_TEST_ATOMICFILE_POWER"

// content is what the n-th version of a file holds: more than a disk writes at
// once, and of another length each time.
func content(n int) string { return strings.Repeat(fmt.Sprintf("version %d\n", n), 1000+n) }

// TestWriterThatLosesPower is the process under which the power is cut. It says
// what has returned.
func TestWriterThatLosesPower(t *testing.T) {
	dir := os.Getenv(powerDir)
	if dir == "" {
		t.Skip("it is started by another test")
	}
	for n := 1; n < 4; n++ {
		if err := Write(filepath.Join(dir, "file"), []byte(content(n)), KeepOwner(0o600)); err != nil {
			t.Fatal(err)
		}
		fmt.Println("file", n)
		if err := Symlink(fmt.Sprint(n), filepath.Join(dir, "link"), -1, -1); err != nil {
			t.Fatal(err)
		}
		fmt.Println("link", n)
		later := KeepOwner(0o600)
		later.Later = true
		for _, name := range []string{"a", "b"} {
			if err := Write(filepath.Join(dir, name), []byte(content(n)), later); err != nil {
				t.Fatal(err)
			}
		}
		if err := SyncDir(dir); err != nil {
			t.Fatal(err)
		}
		fmt.Println("a", n)
		fmt.Println("b", n)
	}
}

// At any moment of a power cut a file is one of its versions, whole, and not
// one from before that of which it was said that it is there.
func TestPowerCut(t *testing.T) {
	dir, world := t.TempDir(), t.TempDir()
	m, err := powercut.New(dir, world)
	if err != nil {
		t.Fatal(err)
	}
	said, err := os.Create(filepath.Join(world, "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestWriterThatLosesPower$")
	cmd.Env = append(os.Environ(), powerDir+"="+dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = said, &out
	if err := powercut.Record(cmd, filepath.Join(world, "tape")); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	if err := m.Read(filepath.Join(world, "tape")); err != nil {
		t.Fatal(err)
	}
	for moment := range m.Moments() {
		for _, loss := range []powercut.Loss{powercut.Nothing, powercut.Unsynced, powercut.Some} {
			left := t.TempDir()
			if err := m.Cut(moment, loss, left); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"file", "a", "b", "link"} {
				if n, acked := version(t, filepath.Join(left, name)), strings.Count(m.Said(moment, "said"), name+" "); n < acked {
					t.Errorf("%s at %d, after %s: %s is version %d of %d", loss, moment, m.Last(moment), name, n, acked)
				}
			}
		}
	}
	if n := m.Moments(); n < 50 || strings.Count(m.Said(n-1, "said"), "\n") < 12 {
		t.Errorf("the record has %d moments", n)
	}
}

// version is that of a file or link; 0: it is not there; -1: it is in part.
func version(t *testing.T, path string) int {
	t.Helper()
	if to, err := os.Readlink(path); err == nil {
		return int(to[0] - '0')
	}
	data, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < 4; n++ {
		if string(data) == content(n) {
			return n
		}
	}
	return -1
}
