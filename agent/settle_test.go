package agent

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// What files of a config make of the tree of its source is how it is to be:
// the next run must not unpack the archive over it, and so on for ever.
func TestSourceThatFilesAlterSettles(t *testing.T) {
	r, root := newRun(t)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "conf", Mode: 0o644, Size: 7}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("default")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "app.tar"), b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	list := configs(t, `{"config": {"sources": {"/opt/app": "/app.tar"}, "files": {"/opt/app/conf": {"content": "ours"}}}}`)
	for run, want := range []int{2, 0, 0} {
		items, err := r.Apply(t.Context(), list)
		if err != nil {
			t.Fatal(err)
		}
		changed := 0
		for _, item := range items {
			if item.Changed {
				changed++
			}
		}
		if data, _ := os.ReadFile(filepath.Join(root, "opt/app/conf")); changed != want || string(data) != "ours" {
			t.Errorf("run %d: %d changes, conf = %q, want %d and ours: %+v", run+1, changed, data, want, items)
		}
	}
}
