package outbox_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

// Marks of commands that broke off are of use as long as their rows are.
func TestOldMarksAreForgotten(t *testing.T) {
	c := &Commands{Dir: filepath.Join(t.TempDir(), "exec")}
	now := time.Now()
	if err := c.Forget(now); err != nil {
		t.Fatalf("without a folder: %v", err)
	}
	if err := os.Mkdir(c.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, age := range map[string]time.Duration{"old": 2 * time.Hour, "new": time.Minute} {
		path := filepath.Join(c.Dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Forget(now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(c.Dir)
	if err != nil || len(left) != 1 || left[0].Name() != "new" {
		t.Errorf("left: %v, %v, want new", left, err)
	}
}
