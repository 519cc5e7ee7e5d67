package hooks

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMainValue(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cfn-hup.conf")
	text := "[DEFAULT]\nhost = h\n[other]\nwatch-url = http://wrong/\n[main]\nstack = s\nWatch-URL: http://%(host)s:8003/\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(file, key, want string) {
		t.Helper()
		if got, err := MainValue(file, key); err != nil || got != want {
			t.Errorf("MainValue(%s, %s) = %q, %v, want %q", file, key, got, err, want)
		}
	}
	f(file, "watch-url", "http://h:8003/")
	f(file, "url", "")
	f(file+".none", "watch-url", "")
	f(os.DevNull, "watch-url", "")
	if got, err := MainValue(filepath.Dir(file), "watch-url"); err == nil {
		t.Errorf("MainValue of a directory = %q, want an error", got)
	}
}

func TestWatchURLIsAKnownKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cfn-hup.conf")
	text := "[main]\nstack = s\nwatch-url = http://h:8003/\n[hook]\ntriggers = post.update\npath = Resources.R.Metadata\naction = true\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Load(Files{Main: file}); err != nil || len(c.Problems) > 0 {
		t.Errorf("Load = %v, problems %v, want none", err, c.Problems)
	}
}
