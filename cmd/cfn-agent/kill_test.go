package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	killFiles    = 30
	killCommands = 12
	killSecret   = "nobody-else-reads-this"
)

// killDocument has private files and commands that each leave a line in a log.
func killDocument(t *testing.T) string {
	t.Helper()
	files, commands := map[string]any{}, map[string]any{}
	for i := range killFiles {
		files[fmt.Sprintf("/etc/app/f%02d", i)] = map[string]any{"content": killContent(i), "mode": "000400"}
	}
	for i := range killCommands {
		commands[fmt.Sprintf("%02d", i)] = map[string]any{"command": fmt.Sprintf("echo %02d >>$CFN_ROOT/ran", i)}
	}
	data, err := json.Marshal(map[string]any{"AWS::CloudFormation::Init": map[string]any{
		"configSets": map[string]any{"default": []any{"config", "again"}},
		"config":     map[string]any{"files": files, "commands": commands},
		"again":      map[string]any{"commands": map[string]any{"last": map[string]any{"command": "echo last >>$CFN_ROOT/ran"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "document.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func killContent(i int) string { return strings.Repeat(fmt.Sprintf("%s %d\n", killSecret, i), 200) }

func cfnInit(root string, args ...string) *exec.Cmd {
	cmd := exec.Command("cfn-init", args...)
	cmd.Env = append(os.Environ(), "CFN_ROOT="+root)
	return cmd
}

// A run that is killed at any moment leaves no file half written and nothing
// that others can read, and --resume does the rest: no step that was finished
// twice, and none left out.
func TestKilledAtRandomMomentsAndResumed(t *testing.T) {
	document := killDocument(t)
	start := time.Now()
	if out, err := cfnInit(t.TempDir(), document).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	whole := time.Since(start) // the first may take longer than those that follow
	cut := 0
	for i := range 50 {
		root := t.TempDir()
		cmd := cfnInit(root, document)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		kill := time.AfterFunc(time.Duration(rand.Int64N(int64(whole))), func() { _ = cmd.Process.Kill() })
		if err := cmd.Wait(); err != nil {
			cut++
		} else {
			whole = min(whole, time.Since(start))
		}
		kill.Stop()
		finished := finishedCommands(t, root)
		checkKilled(t, root)
		resumed := []string{"--resume"}
		if _, err := os.Stat(filepath.Join(root, journal)); err != nil {
			resumed = []string{document} // it was killed before it began
		}
		out, err := cfnInit(root, resumed...).CombinedOutput()
		if err != nil && !strings.Contains(string(out), "there is no unfinished run to resume") {
			t.Fatalf("kill %d: resume: %v: %s", i, err, out)
		}
		checkKilled(t, root)
		checkWhole(t, root, finished)
		if t.Failed() {
			t.Fatalf("kill %d", i)
		}
	}
	if cut < 25 {
		t.Errorf("only %d of 50 runs were cut short", cut)
	}
}

// finishedCommands are those that the journal of a killed run calls finished.
func finishedCommands(t *testing.T, root string) map[string]bool {
	t.Helper()
	finished := map[string]bool{}
	data, _ := os.ReadFile(filepath.Join(root, journal))
	for line := range bytes.Lines(data) {
		var l struct{ Finish string }
		if json.Unmarshal(line, &l) == nil && strings.Contains(l.Finish, ".commands.") {
			finished[l.Finish[strings.LastIndex(l.Finish, ".")+1:]] = true
		}
	}
	return finished
}

// checkKilled looks at what a killed run has left: every file that is there
// is whole, and what is secret is for its owner alone.
func checkKilled(t *testing.T, root string) {
	t.Helper()
	for i := range killFiles {
		data, err := os.ReadFile(filepath.Join(root, fmt.Sprintf("etc/app/f%02d", i)))
		if err == nil && string(data) != killContent(i) {
			t.Errorf("file %d has %d bytes, want %d", i, len(data), len(killContent(i)))
		}
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(killSecret)) && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// checkWhole looks at a run that came to its end: all files are there and
// nothing else, each command ran, and one that had finished ran once.
func checkWhole(t *testing.T, root string, finished map[string]bool) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(root, "etc/app"))
	if err != nil || len(entries) != killFiles {
		t.Errorf("%d files, %v, want %d: %v", len(entries), err, killFiles, entries)
	}
	ran, err := os.ReadFile(filepath.Join(root, "ran"))
	if err != nil {
		t.Error(err)
	}
	count := map[string]int{}
	for _, name := range strings.Fields(string(ran)) {
		count[name]++
	}
	twice := 0
	for i := range killCommands + 1 {
		name := fmt.Sprintf("%02d", i)
		if i == killCommands {
			name = "last"
		}
		switch n := count[name]; {
		case n == 0:
			t.Errorf("command %s did not run", name)
		case n > 1 && finished[name]:
			t.Errorf("command %s had finished and ran %d times", name, n)
		case n > 1:
			twice++
		}
	}
	if twice > 1 {
		t.Errorf("%d commands ran twice: at most the one that was cut short may", twice)
	}
}
