package files

import (
	"fmt"
	"os"
	"testing"

	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

func setup1000(b *testing.B) (*sys.System, []metadata.File) {
	s := system(b)
	list := make([]metadata.File, 1000)
	for i := range list {
		list[i] = withMode(file(fmt.Sprintf("/d/%04d", i), fmt.Sprintf("file %d\n", i)), 0o644)
	}
	if err := s.MkdirAll("/d"); err != nil {
		b.Fatal(err)
	}
	return s, list
}

// What the disk takes for 1,000 files, each and its directory synced.
func BenchmarkBare1000(b *testing.B) {
	for b.Loop() {
		s, list := setup1000(b)
		for _, f := range list {
			w, err := os.OpenFile(s.Path(f.Path), os.O_CREATE|os.O_WRONLY, 0o644)
			if err != nil {
				b.Fatal(err)
			}
			w.Write(f.Content)
			w.Sync()
			w.Close()
			d, _ := os.Open(s.Path("/d"))
			d.Sync()
			d.Close()
		}
	}
}

func BenchmarkApply1000(b *testing.B) {
	for b.Loop() {
		s, list := setup1000(b)
		applyAll(b, s, list)
	}
}

// The second run reads, and writes nothing.
func BenchmarkSecondApply1000(b *testing.B) {
	s, list := setup1000(b)
	applyAll(b, s, list)
	for b.Loop() {
		applyAll(b, s, list)
	}
}

func applyAll(b *testing.B, s *sys.System, list []metadata.File) {
	paths := make([]string, 0, len(list))
	for _, f := range list {
		if apply(b, s, f).Changed {
			paths = append(paths, f.Path)
		}
	}
	if err := Sync(s, paths); err != nil {
		b.Fatal(err)
	}
}
