package sources

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cfn-agent/cfn-agent/agent/fetch"
)

func owner(t *testing.T, path string) [2]int {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	return [2]int{int(st.Uid), int(st.Gid)}
}

// Each archive brings a good member first: it must not be there afterwards.
// aws-cfn-bootstrap compared the names by characters, so that
// ../app-evil passed as below /srv/app, and did not look at links.
func TestHostileArchivesLeaveTheTreeAsItWas(t *testing.T) {
	big := strings.Repeat("\x00", 3000)
	for name, tt := range map[string]struct {
		archive []byte
		want    string
	}{
		"parent":                       {makeTar(t, file("ok", ""), file("../x", "")), `member "../x" leads out of the directory`},
		"parent in the middle":         {makeTar(t, file("ok", ""), file("a/../../x", "")), "leads out of the directory"},
		"sibling":                      {makeTar(t, file("ok", ""), file("../app-evil/x", "")), `member "../app-evil/x" leads out of the directory`},
		"absolute":                     {makeTar(t, file("ok", ""), file("/srv/app/x", "")), `member "/srv/app/x" has an absolute path`},
		"symlink, then write":          {makeTar(t, file("ok", ""), link("l", "sub"), file("l/x", "")), `member "l/x" is below "l", which is no directory but a link or file`},
		"symlink as directory":         {makeTar(t, file("ok", ""), link("l", "sub"), dir("l")), `member "l" is a directory and something else too`},
		"symlink out":                  {makeTar(t, file("ok", ""), link("l", "../x")), `member "l": a link to "../x", out of the directory`},
		"symlink out, deep":            {makeTar(t, file("ok", ""), link("a/b/l", "../../../x")), "out of the directory"},
		"symlink, absolute":            {makeTar(t, file("ok", ""), link("l", "/etc")), `a link to "/etc", out of the directory`},
		"symlink by way of one":        {makeTar(t, file("ok", ""), dir("d/e"), link("d/e/up", "../.."), link("l", "d/e/up/..")), "a link that leads out of the directory"},
		"hard link out":                {makeTar(t, file("ok", ""), hardlink("h", "../../etc/passwd")), `a hard link to "../../etc/passwd", out of the directory`},
		"hard link, absolute":          {makeTar(t, file("ok", ""), hardlink("h", "/etc/passwd")), "out of the directory"},
		"hard link to what is there":   {makeTar(t, file("ok", ""), hardlink("h", "there")), "which is no file before it in the archive"},
		"hard link to a symlink":       {makeTar(t, file("ok", ""), link("l", "ok"), hardlink("h", "l")), "which is no file before it in the archive"},
		"device":                       {makeTar(t, file("ok", ""), special("d", tar.TypeChar)), `member "d" is neither a file, a directory nor a link`},
		"block device":                 {makeTar(t, file("ok", ""), special("d", tar.TypeBlock)), "neither a file, a directory nor a link"},
		"fifo":                         {makeTar(t, file("ok", ""), special("d", tar.TypeFifo)), "neither a file, a directory nor a link"},
		"name of a stage":              {makeTar(t, file("ok", ""), file(stagePrefix+"x/y", "")), "a name that is not free"},
		"the directory as a file":      {makeTar(t, file("ok", ""), link(".", "x")), "the name of the directory itself"},
		"through a link that is there": {makeTar(t, file("ok", ""), file("out/x", "")), "out is a directory in it and a symbolic link in /srv/app"},
		"a file over a directory":      {makeTar(t, file("ok", ""), file("sub", "")), "sub is no directory in it but one in /srv/app"},
		"a directory over a file":      {makeTar(t, file("ok", ""), dir("there")), "there is a directory in it and a file in /srv/app"},
		"too deep":                     {makeTar(t, file("ok", ""), file(strings.Repeat("d/", 257)+"x", "")), `member "d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/"... is below more than 256 directories`},
		"too large":                    {makeTar(t, file("ok", ""), file("x", big)), "it unpacks to more than 5000 bytes"},
		"too many":                     {makeTar(t, file("ok", ""), file("1", ""), file("2", ""), file("3", ""), file("4", "")), "more than 4 members"},
		"bomb":                         {gzipped(t, makeTar(t, file("ok", ""), file("x", big[:500]))), "more than 10 times its size"},
		"single bomb":                  {gzipped(t, []byte("x"+big)), "more than 10 times its size"},
		"zip bomb":                     {makeZip(t, zipMember{"x", big, 0o644}), "more than 10 times its size"},
		"zip parent":                   {makeZip(t, zipMember{"ok", "", 0o644}, zipMember{"../x", "", 0o644}), "leads out of the directory"},
		"zip absolute":                 {makeZip(t, zipMember{"ok", "", 0o644}, zipMember{"/x", "", 0o644}), "has an absolute path"},
		"zip symlink out":              {makeZip(t, zipMember{"ok", "", 0o644}, zipMember{"l", "../../etc", fs.ModeSymlink | 0o777}), "out of the directory"},
		"zip device":                   {makeZip(t, zipMember{"ok", "", 0o644}, zipMember{"d", "", fs.ModeDevice | 0o666}), "neither a file, a directory nor a link"},
	} {
		s := system(t)
		put(t, s, "/srv/app/there", "old")
		put(t, s, "/srv/app/sub/x", "old")
		put(t, s, "/srv/app-evil/keep", "old")
		if err := os.Symlink("sub", s.Path("/srv/app/out")); err != nil {
			t.Fatal(err)
		}
		src := give(t, s, tt.archive, "a.gz")
		before := tree(t, s, "/srv")
		o, err := apply(t.Context(), s, new(fetch.Client), src, limits{bytes: 5000, members: 4, ratio: 10, floor: 2000})
		if err != nil || o.Changed || !strings.Contains(o.Degraded, tt.want) || !strings.HasSuffix(o.Degraded, "is left as it is") {
			t.Errorf("%s: outcome = %+v, %v, want degraded: %s", name, o, err, tt.want)
		}
		expectTree(t, s, "/srv", before...)
		if _, err := os.Lstat(s.Path(statePath("/srv/app"))); err == nil {
			t.Errorf("%s: it is remembered as unpacked", name)
		}
	}
}

func TestRefusedArchiveMakesNoDirectory(t *testing.T) {
	s := system(t)
	src := give(t, s, makeTar(t, file("ok", ""), file("../x", "")), "a")
	src.Dir = "/srv/new/app"
	if o := run(t, s, src); o.Degraded == "" {
		t.Errorf("outcome = %+v, want degraded", o)
	}
	expectTree(t, s, "/srv")
}

func TestLinksThatStayAreKept(t *testing.T) {
	s := system(t)
	changed(t, s, give(t, s, makeTar(t, file("bin/v1", "x"), link("bin/current", "v1"), link("lib/up", "../bin/current"), link("loop", "loop"), link("gone", "nothing/here")), "a"), true)
	expectTree(t, s, "/srv/app", "bin drwxr-xr-x", "bin/current Lrwxrwxrwx -> v1", "bin/v1 -rw-r--r-- x", "gone Lrwxrwxrwx -> nothing/here",
		"lib drwxr-xr-x", "lib/up Lrwxrwxrwx -> ../bin/current", "loop Lrwxrwxrwx -> loop")
}

func TestXzWindowIsBounded(t *testing.T) {
	data := xzipped(t, []byte("x"))
	// "The .xz File Format", 3.1: the header of the first block, its size in
	// its first byte, its CRC32 in its last four.
	header := data[12 : 12+4*(int(data[12])+1)]
	i := bytes.Index(header, []byte{0x21, 1})
	header[i+2] = 40 // 4 GiB
	binary.LittleEndian.PutUint32(header[len(header)-4:], crc32.ChecksumIEEE(header[:len(header)-4]))
	s := system(t)
	if o := run(t, s, give(t, s, data, "x.xz")); !strings.Contains(o.Degraded, "dictionary size exceeds") {
		t.Errorf("outcome = %+v, want degraded by the dictionary", o)
	}
}

// FuzzUnpack: whatever the bytes are, nothing is written outside of the
// directory, and no link in it leads out.
func FuzzUnpack(f *testing.F) {
	evil := makeTar(f, file("ok", "x"), link("d/l", "../x"), hardlink("h", "ok"), file("../x", ""), dir("d"), special("f", tar.TypeFifo))
	f.Add(evil)
	f.Add(makeTar(f, dir("a/b"), link("a/b/up", "../.."), link("l", "a/b/up/.."), file("a/b/up/x", "")))
	f.Add(gzipped(f, evil))
	f.Add(xzipped(f, evil))
	f.Add(zstdipped(f, evil))
	f.Add(unbase64(f, bzipTar))
	f.Add(makeZip(f, zipMember{"../x", "x", 0}, zipMember{"d/", "", 0}, zipMember{"d/l", "../..", fs.ModeSymlink | 0o777}))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := system(t)
		src := give(t, s, data, "a.gz")
		put(t, s, "/srv/app-evil", "")
		before := strings.Join(tree(t, s, "/etc"), "\n") + strings.Join(tree(t, s, "/in"), "\n")
		o, err := apply(t.Context(), s, new(fetch.Client), src, limits{bytes: 1 << 20, members: 100, ratio: 1000, floor: 1 << 16})
		if err != nil || o.Changed == (o.Degraded != "") {
			t.Errorf("Apply = %+v, %v, want changed or degraded", o, err)
		}
		if after := strings.Join(tree(t, s, "/etc"), "\n") + strings.Join(tree(t, s, "/in"), "\n"); after != before {
			t.Errorf("the rest of the system was changed from %s to %s", before, after)
		}
		for _, dir := range []string{"/", "/srv"} {
			entries, _ := os.ReadDir(s.Path(dir))
			for _, e := range entries {
				switch e.Name() {
				case "app", "app-evil", "etc", "in", "srv", "var":
				default:
					t.Errorf("there is %s in %s", e.Name(), dir)
				}
			}
		}
		app := s.Path("/srv/app")
		filepath.WalkDir(app, func(p string, d fs.DirEntry, _ error) error {
			if d == nil || d.Type()&fs.ModeSymlink == 0 {
				return nil
			}
			if real, err := filepath.EvalSymlinks(p); err == nil && real != app && !strings.HasPrefix(real, app+"/") {
				t.Errorf("%s leads to %s", p, real)
			}
			return nil
		})
	})
}
