package agent

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cfn-agent/cfn-agent/agent/commands"
)

func journalFile(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "state", "journal")
}

func TestJournalGoesOnAfterWhatIsFinished(t *testing.T) {
	r, root := newRun(t)
	path := filepath.Join(root, "state/journal")
	list := configs(t, `{"config": {"files": {"/f": {"content": "x"}}, "commands": {
		"1": {"command": "echo 1 >>$ROOT/log"}, "2": {"command": "test -e $ROOT/ready"}, "3": {"command": "echo 3 >>$ROOT/log"}}}}`)
	var err error
	if r.Journal, err = NewJournal(path, Plan{Document: []byte(`{"a":1}`), Origin: "here"}); err != nil {
		t.Fatal(err)
	}
	if _, err = r.Apply(t.Context(), list); err == nil {
		t.Fatal("Apply = nil, want the failing command")
	}
	if err := r.Journal.Close(false); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "ready"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j, plan, err := ResumeJournal(path)
	if err != nil || string(plan.Document) != `{"a":1}` || plan.Origin != "here" {
		t.Fatalf("ResumeJournal = %+v, %v", plan, err)
	}
	r.Journal = j
	items, err := r.Apply(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(filepath.Join(root, "log")); string(data) != "1\n3\n" {
		t.Errorf("log = %q, want each command once", data)
	}
	// The file that changed before the stop still restarts what depends on it.
	if !items[0].Resumed || !items[0].trigger || items[3].Resumed {
		t.Errorf("items = %+v", items)
	}
	if err := j.Close(true); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ResumeJournal(path); !errors.Is(err, ErrNothingToResume) {
		t.Errorf("ResumeJournal of a whole run = %v, want ErrNothingToResume", err)
	}
}

// A command that asks for a boot is not run again after it.
func TestJournalAfterReboot(t *testing.T) {
	r, root := newRun(t)
	path := filepath.Join(root, "state/journal")
	list := configs(t, `{"config": {"commands": {
		"1": {"command": "echo 1 >>$ROOT/log", "waitAfterCompletion": "forever"}, "2": {"command": "echo 2 >>$ROOT/log"}}}}`)
	var err error
	if r.Journal, err = NewJournal(path, Plan{}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Apply(t.Context(), list); !errors.Is(err, commands.ErrReboot) {
		t.Fatalf("Apply = %v, want ErrReboot", err)
	}
	if err := r.Journal.Close(false); err != nil {
		t.Fatal(err)
	}
	if r.Journal, _, err = ResumeJournal(path); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Apply(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(filepath.Join(root, "log")); string(data) != "1\n2\n" {
		t.Errorf("log = %q, want 1 and 2", data)
	}
}

func TestJournalCutShortInALine(t *testing.T) {
	path := journalFile(t)
	j, err := NewJournal(path, Plan{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(j.begin(step{id: "a"}), j.finish("a", nil, false), j.Close(false)); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(data) + 1 {
		if err := os.WriteFile(path, data[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		j, _, err := ResumeJournal(path)
		if errors.Is(err, ErrNothingToResume) && !strings.Contains(string(data[:cut]), "\n") {
			continue // not even the plan is whole
		}
		if err != nil {
			t.Fatalf("cut at %d of %d: %v", cut, len(data), err)
		}
		if _, done := j.finished("a"); done != (cut == len(data)) {
			t.Errorf("cut at %d of %d: finished = %v", cut, len(data), done)
		}
		if err := errors.Join(j.begin(step{id: "b"}), j.Close(false)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := ResumeJournal(path); err != nil {
			t.Errorf("cut at %d, gone on and read again: %v", cut, err)
		}
	}
}

func TestJournalDamaged(t *testing.T) {
	path := journalFile(t)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("{\"plan\":{}}\nnonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ResumeJournal(path); err == nil || !strings.Contains(err.Error(), "damaged: start afresh without --resume") {
		t.Errorf("ResumeJournal = %v", err)
	}
}

// The file at work when a run was killed may have left a temporary one.
func TestJournalSweepsWhatAKilledRunLeft(t *testing.T) {
	for _, resume := range []bool{true, false} {
		dir := t.TempDir()
		path := filepath.Join(dir, "state", "journal")
		j, err := NewJournal(path, Plan{})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(j.begin(step{id: "f", file: filepath.Join(dir, "f")}), j.Close(false)); err != nil {
			t.Fatal(err)
		}
		left := filepath.Join(dir, ".f12345")
		if err := os.WriteFile(left, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if resume {
			_, _, err = ResumeJournal(path)
		} else {
			_, err = NewJournal(path, Plan{})
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(left); err == nil {
			t.Errorf("resume %v: the temporary file is still there", resume)
		}
	}
}
