package outbox_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

// Marks of commands that broke off are of use as long as their rows are open:
// one that went before would have its command run twice.
func TestOldMarksAreForgotten(t *testing.T) {
	c := &Commands{Dir: filepath.Join(t.TempDir(), "exec")}
	now := time.Now()
	ended := func(key string) (bool, error) { return key != "open", nil }
	if err := c.Forget(now, ended); err != nil {
		t.Fatalf("without a folder: %v", err)
	}
	if err := os.Mkdir(c.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, mark := range map[string]struct {
		text string
		age  time.Duration
	}{
		"ended": {`{"Key":"ended"}`, 2 * time.Hour}, "new": {`{"Key":"ended"}`, time.Minute},
		"open": {`{"Key":"open"}`, 2 * time.Hour}, "unreadable": {"", 2 * time.Hour},
	} {
		path := filepath.Join(c.Dir, name)
		if err := os.WriteFile(path, []byte(mark.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-mark.age), now.Add(-mark.age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Forget(now.Add(-time.Hour), ended); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(c.Dir)
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if want := []string{"new", "open", "unreadable"}; err != nil || !slices.Equal(left, want) {
		t.Errorf("left: %v, %v, want %v", left, err, want)
	}
}
