package admin

import (
	"os"
	"path/filepath"
	"testing"
)

// A path that was mistyped costs nobody a file.
func TestListenLeavesWhatIsNoSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(path, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := Listen(path); err == nil {
		l.Close()
		t.Error("a socket took the place of a file")
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "kept" {
		t.Errorf("the file holds %q, %v", data, err)
	}
}
