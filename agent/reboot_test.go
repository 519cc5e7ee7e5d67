package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// Where systemd does not run, a unit would be written that nobody looks at,
// and the program would end as if all were well.
func TestResumeNeedsSystemd(t *testing.T) {
	dir := t.TempDir()
	if err := resumable(dir); err != nil {
		t.Errorf("resumable = %v, want nil where systemd runs", err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(dir, "absent")} {
		if err := resumable(path); err == nil || !strings.Contains(err.Error(), "needs systemd") {
			t.Errorf("resumable(%s) = %v, want an error that names systemd", path, err)
		}
	}
	s := &sys.System{Root: t.TempDir()}
	if err := InstallResumeUnit(s, "/bin/true"); err != nil {
		t.Errorf("InstallResumeUnit in a tree = %v, want nil", err)
	}
	if _, err := os.Stat(s.Path(resumeLink)); err != nil && !os.IsNotExist(err) {
		t.Error(err)
	}
	if text, err := os.ReadFile(s.Path(resumeUnit)); err != nil || !strings.Contains(string(text), "ExecStart=/bin/true\n") {
		t.Errorf("unit = %q, %v", text, err)
	}
}
