package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cfn-agent/cfn-agent/agent/daemon"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/hooks"
	"github.com/cfn-agent/cfn-agent/metadata/cfnapi"
)

// A single command may write more than all logs are to hold.
func TestLogIsTurnedOverWhileItIsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	f, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	chunk := bytes.Repeat([]byte("0123456789abcde\n"), 1<<14)
	for range 7 * logSize / len(chunk) {
		if n, err := f.Write(chunk); n != len(chunk) || err != nil {
			t.Fatalf("Write = %d, %v, want %d, nil", n, err, len(chunk))
		}
	}
	files, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != logCount {
		t.Errorf("files = %q, want %d", files, logCount)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > logSize+int64(len(chunk)) || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has %d bytes and mode %v, want at most %d and 0600", file, info.Size(), info.Mode(), logSize+len(chunk))
		}
	}
}

func TestProxyPasswordIsHiddenWithAndWithoutScheme(t *testing.T) {
	var hidden []string
	e := &env{hideArg: func(s string) { hidden = append(hidden, s) }}
	o := connection{httpProxy: "u:proxy-password@h:3128", httpsProxy: "http://u:other%20password@h:3128"}
	o.hideSecrets(e)
	if len(hidden) != 2 || hidden[0] != "proxy-password" || hidden[1] != "other%20password" {
		t.Errorf("hidden = %q, want both passwords as they are written", hidden)
	}
	for address, want := range map[string]string{
		"http://u:p@ss:w@h:3128/": "p@ss:w", "u:p@ss@h": "p@ss", "http://u:p/w@h": "p/w", "http://u@h": "", "h:3128": "", "": "",
	} {
		if got := password(address); got != want {
			t.Errorf("password(%q) = %q, want %q", address, got, want)
		}
	}
}

// What an action prints may have no line ends at all, as a progress bar or an
// image that is written to standard output: no more of it is kept in memory
// than a line is to have.
func TestOutputWithoutLineEndsIsNotKeptInMemory(t *testing.T) {
	var log bytes.Buffer
	w := &lineLog{log: slog.New(slog.NewTextHandler(&log, nil))}
	for range 100 {
		if _, err := w.Write(bytes.Repeat([]byte("x"), 32<<10)); err != nil {
			t.Fatal(err)
		}
	}
	if n := cap(w.line); n > 4*maxLogLine {
		t.Errorf("%d bytes are kept of a line that does not end", n)
	}
	w.flush()
	if n := bytes.Count(log.Bytes(), []byte("x")); n != 100*32<<10 {
		t.Errorf("%d bytes of it are in the log, want %d", n, 100*32<<10)
	}
	log.Reset()
	w.Write([]byte("one\n\ntw"))
	w.Write([]byte("o\nthree"))
	w.flush()
	var lines []string
	for line := range strings.Lines(log.String()) {
		_, line, _ = strings.Cut(strings.TrimSpace(line), "msg=")
		lines = append(lines, line)
	}
	if got, want := strings.Join(lines, " "), `"action: one" "action: " "action: two" "action: three"`; got != want {
		t.Errorf("logged %s, want %s", got, want)
	}
}

// Someone cleans up, or logrotate(8) moves the file away, while a program that
// stays has it open: what it writes from then on is where people look for it.
func TestLogThatWasMovedAwayIsBegunAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	f, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	write := func(line string) {
		t.Helper()
		if _, err := f.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != line {
			t.Errorf("the log is %q, %v, want %q", got, err, line)
		}
	}
	write("one\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write("two\n")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write("three\n")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil { // as logrotate's "create" does
		t.Fatal(err)
	}
	write("four\n")
	// There may be no way to make another.
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("five\n")); err != nil {
		t.Errorf("Write where no file can be made: %v", err)
	}
}

// In an empty root, to try a document or to fill an image, there was no log.
func TestLogMakesItsFolder(t *testing.T) {
	l, err := openLog(filepath.Join(t.TempDir(), "var", "log", "x.log"))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

// What a job prints is masked in the log also while Heat tells of one resource
// and not, or not yet, of another.
func TestSecretsOfAllResourcesStayHidden(t *testing.T) {
	r := &resident{hupRun{e: &env{root: t.TempDir()}, logs: &logs{}}}
	tell := func(id, secret string) {
		t.Helper()
		if _, err := r.resource(id, cfnapi.Detail{Metadata: []byte(`{"password": "` + secret + `"}`)}); err != nil {
			t.Fatal(err)
		}
	}
	tell("A", "secret-of-a-1")
	tell("B", "secret-of-b-1")
	r.heat(daemon.Config{}, hooks.Config{}) // the next poll
	tell("A", "secret-of-a-2")
	got := r.logs.hide("secret-of-a-1 secret-of-a-2 secret-of-b-1")
	if want := "secret-of-a-1 " + sys.Masked + " " + sys.Masked; got != want {
		t.Errorf("shown is %q, want %q", got, want)
	}
}
