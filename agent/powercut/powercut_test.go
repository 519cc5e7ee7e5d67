package powercut

import (
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// machine is one with a record, in which strings are written plainly.
func machine(t *testing.T, disk, tape string) *Machine {
	t.Helper()
	m, err := New(disk, filepath.Join(disk, "world"))
	if err != nil {
		t.Fatal(err)
	}
	tape = regexp.MustCompile(`[<"]/?[^<>"]*[">]`).ReplaceAllStringFunc(tape, func(s string) string {
		if strings.HasPrefix(s, "<...") || strings.Contains(s, "unfinished") {
			return s
		}
		inner := strings.ReplaceAll(s[1:len(s)-1], "DISK", disk)
		var text strings.Builder
		for digits := hex.EncodeToString([]byte(inner)); digits != ""; digits = digits[2:] {
			text.WriteString(`\x` + digits[:2])
		}
		return s[:1] + text.String() + s[len(s)-1:]
	})
	path := filepath.Join(t.TempDir(), "tape")
	if err := os.WriteFile(path, []byte(tape), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.Read(path); err != nil {
		t.Fatal(err)
	}
	return m
}

// files are those below a directory, with what they hold.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name := strings.TrimPrefix(path, dir+"/")
		if d.IsDir() {
			all[name+"/"] = ""
			return nil
		}
		if to, err := os.Readlink(path); err == nil {
			all[name] = "-> " + to
			return nil
		}
		data, err := os.ReadFile(path)
		all[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (m *Machine) cut(t *testing.T, moment int, loss Loss) map[string]string {
	t.Helper()
	dir := t.TempDir()
	if err := m.Cut(moment, loss, dir); err != nil {
		t.Fatal(err)
	}
	return files(t, dir)
}

// What was synced is there, and what was not is not: a file's content by the
// sync of the file, its name by that of the directory.
func TestUnsyncedIsLost(t *testing.T) {
	for _, c := range []struct {
		why, tape string
		want      map[string]string
	}{
		{"nothing was synced", `1 openat(AT_FDCWD<DISK>, "new", O_WRONLY|O_CREAT, 0600) = 3<DISK/new>
1 write(3<DISK/new>, "content", 7) = 7`, map[string]string{"old": "old"}},
		{"a file without its name", `1 openat(AT_FDCWD<DISK>, "new", O_WRONLY|O_CREAT, 0600) = 3<DISK/new>
1 write(3<DISK/new>, "content", 7) = 7
1 fsync(3<DISK/new>) = 0`, map[string]string{"old": "old"}},
		{"a name without its file", `1 openat(AT_FDCWD<DISK>, "new", O_WRONLY|O_CREAT, 0600) = 3<DISK/new>
1 write(3<DISK/new>, "content", 7) = 7
1 fsync(4<DISK>) = 0`, map[string]string{"old": "old", "new": ""}},
		{"a name in place of another", `1 openat(AT_FDCWD<DISK>, "new", O_WRONLY|O_CREAT, 0600) = 3<DISK/new>
1 write(3<DISK/new>, "content", 7) = 7
1 fsync(3<DISK/new>) = 0
1 renameat(AT_FDCWD<DISK>, "new", AT_FDCWD<DISK>, "old") = 0
1 fsync(4<DISK>) = 0`, map[string]string{"old": "content"}},
		{"a part of a write, and a cut", `1 pwrite64(3<DISK/old>, "XY", 2, 1) = 1
1 pwrite64(3<DISK/old>, "Z", 1, 4) = 1
1 ftruncate(3<DISK/old>, 5) = 0
1 fdatasync(3<DISK/old>) = 0
1 ftruncate(3<DISK/old>, 0) = 0`, map[string]string{"old": "oXd\x00Z"}},
		{"a write while it is synced", `1 fdatasync(3<DISK/old> <unfinished ...>
2 pwrite64(3<DISK/old>, "X", 1, 0) = 1
1 <... fdatasync resumed>) = 0`, map[string]string{"old": "old"}},
		{"a write before it is synced", `2 pwrite64(3<DISK/old>, "X", 1, 0 <unfinished ...>
2 <... pwrite64 resumed>) = 1
1 fdatasync(3<DISK/old>) = 0`, map[string]string{"old": "Xld"}},
		{"a call that was refused, and one that never ended", `1 unlinkat(AT_FDCWD<DISK>, "old", 0) = -1 EPERM (Operation not permitted)
1 fsync(4<DISK>) = 0
1 fsync(4<DISK>) = ?`, map[string]string{"old": "old"}},
		{"a directory whose own name is not safe", `1 mkdirat(AT_FDCWD<DISK>, "d", 0700) = 0
1 openat(AT_FDCWD<DISK>, "d/f", O_WRONLY|O_CREAT, 0600) = 3<DISK/d/f>
1 fsync(3<DISK/d>) = 0`, map[string]string{"old": "old"}},
		{"links", `1 symlinkat("far", AT_FDCWD<DISK>, "s") = 0
1 linkat(AT_FDCWD<DISK>, "old", AT_FDCWD<DISK>, "l", 0) = 0
1 unlink("DISK/old") = 0
1 fsync(3<DISK>) = 0`, map[string]string{"s": "-> far", "l": "old"}},
		{"the world forgets nothing and is not the disk's", `1 openat(AT_FDCWD<DISK>, "world/said", O_WRONLY|O_CREAT, 0600) = 3<DISK/world/said>
1 write(3<DISK/world/said>, "x", 1) = 1
1 fsync(4<DISK>) = 0`, map[string]string{"old": "old"}},
	} {
		disk := t.TempDir()
		if err := os.WriteFile(filepath.Join(disk, "old"), []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		m := machine(t, disk, c.tape)
		if got := m.cut(t, m.Moments()-1, Unsynced); !maps.Equal(got, c.want) {
			t.Errorf("%s: there is %q, want %q", c.why, got, c.want)
		}
		if got := m.cut(t, 0, Unsynced); !maps.Equal(got, map[string]string{"old": "old"}) {
			t.Errorf("%s: before it there is %q", c.why, got)
		}
	}
}

// Of what was not synced some may be there: any pages, and names up to one.
func TestSomeIsTorn(t *testing.T) {
	disk := t.TempDir()
	two := strings.Repeat("a", page) + strings.Repeat("b", page)
	var tape strings.Builder
	for i := range 8 {
		fmt.Fprintf(&tape, "1 openat(AT_FDCWD<DISK>, \"f%02[1]d\", O_WRONLY|O_CREAT, 0600) = 3<DISK/f%02[1]d>\n1 write(3<DISK/f%02[1]d>, \"%[2]s\", %[3]d) = %[3]d\n", i, two, len(two))
	}
	m := machine(t, disk, tape.String())
	kinds, most := map[string]int{}, 0
	for moment := range m.Moments() {
		got := m.cut(t, moment, Some)
		names := slices.Sorted(maps.Keys(got))
		if n := len(names); n > 0 && names[n-1] != fmt.Sprintf("f%02d", n-1) {
			t.Fatalf("names %q: one is there, and one before it is not", names)
		}
		most = max(most, len(got))
		for _, text := range got {
			kinds[strings.ReplaceAll(strings.ReplaceAll(text, strings.Repeat("a", page), "A"), strings.Repeat("b", page), "B")]++
		}
		if got := m.cut(t, moment, Nothing); len(got) != (moment+1)/2 || moment%2 == 0 && moment > 0 && got["f00"] != two {
			t.Fatalf("at %d: who is killed leaves %d files %q", moment, len(got), got)
		}
	}
	if hole := strings.Repeat("\x00", page) + "B"; len(kinds) != 4 || kinds[""] == 0 || kinds["A"] == 0 || kinds[hole] == 0 || kinds["AB"] == 0 {
		t.Errorf("%d kinds of files are left, want none, the first page, the second, and both", len(kinds))
	}
	if most < 4 {
		t.Errorf("%d names at most are there", most)
	}
}

func TestCallsThatAreNotKnown(t *testing.T) {
	disk := t.TempDir()
	m, err := New(disk, disk+"/world")
	if err != nil {
		t.Fatal(err)
	}
	tape := filepath.Join(t.TempDir(), "tape")
	for text, want := range map[string]string{
		"1 fallocate(3<" + disk + "/f>, 0, 0, 4096) = 0\n": "read the record of strace: fallocate changes f, and how is not known here",
		"1 fallocate(3</elsewhere>, 0, 0, 4096) = 0\n":     "",
		"gibberish\n": "read the record of strace: a line that is no call: gibberish",
	} {
		if err := os.WriteFile(tape, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := m.Read(tape); (err != nil || want != "") && fmt.Sprint(err) != want {
			t.Errorf("Read of %q = %v, want %q", text, err, want)
		}
	}
}
