package auth

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

func TestKeyFile(t *testing.T) {
	f := keyFile(t, "\ufeff# comment\r\n; another\r\n[a1]\r\nsecret = x=y # no comment\r\nproject=p\r\n\r\n"+
		"[a2]\nsecret = s\nproject = p\nstack = web\n[a3]\nsecret = s\nproject = p\nrole = reader\n[a4]\nsecret=s\nproject=p\nrole=guest\n")
	for access, want := range map[string]watch.Caller{
		"a1": {Access: "a1", Project: "p", Role: watch.Member},
		"a2": {Access: "a2", Project: "p", Stack: "web", Role: watch.Guest},
		"a3": {Access: "a3", Project: "p", Role: watch.Reader},
		"a4": {Access: "a4", Project: "p", Role: watch.Guest},
	} {
		if k := f.find(access); k == nil || k.Caller != want {
			t.Errorf("find(%s) = %+v, want %+v", access, k, want)
		}
	}
	if k := f.find("a1"); string(k.Secret) != "x=y # no comment" {
		t.Errorf("secret of a1 = %q", string(k.Secret))
	}
	if k := f.find("a5"); k != nil {
		t.Errorf("find(a5) = %+v, want nil", k)
	}
}

func TestKeyFileMistakes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	write(t, path, `secret = early
[a]
secret = s
secret = t
projekt = p
role = admin
stack =
nonsense
[a b]
[]
[a]
[c]
secret = s
project = p
stack = web
role = member
[d
secret = hush-hush
`)
	want := []string{
		":1: secret stands before the first [ACCESS]",
		":4: secret is given twice",
		`:5: unknown key "projekt": the keys are secret, project, stack, role`,
		`:6: role "admin" is none of guest, member, reader`,
		":7: stack is empty",
		":8: neither [ACCESS] nor NAME = VALUE",
		":2: access key a has no project",
		":9: an access key has no slash, comma or space in it",
		":10: a section is [ACCESS], with the id of an access key",
		":11: access key a is given twice",
		":12: access key c: a stack binds guests alone, not role member",
		":17: a section is [ACCESS], with the id of an access key",
	}
	_, err := OpenKeyFile(path, discard)
	if err == nil {
		t.Fatal("OpenKeyFile: no error")
	}
	if got := strings.ReplaceAll(err.Error(), path, ""); got != strings.Join(want, "\n") {
		t.Errorf("OpenKeyFile:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
}

func TestKeyFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	write(t, path, keys)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	_, err := OpenKeyFile(path, discard)
	if want := path + ": mode 0640 lets others at the secrets: chmod 600 it"; err == nil || err.Error() != want {
		t.Errorf("OpenKeyFile = %v, want %q", err, want)
	}
	if _, err := OpenKeyFile(path+"x", discard); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("OpenKeyFile of a file that is not there = %v, want an error that names it", err)
	}
}

func TestKeyFileIsFollowed(t *testing.T) {
	f := keyFile(t, keys)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			New(Options{File: f}).Run(ctx)
		}()
		defer func() { cancel(); <-done }()
		f1 := f.find("file")
		secret := func(want string) {
			t.Helper()
			time.Sleep(1100 * time.Millisecond)
			synctest.Wait()
			if k := f.find("file"); k == nil || string(k.Secret) != want {
				t.Errorf("key = %+v, want secret %q", k, want)
			}
		}
		// Of files whose time is long past only the state is looked at.
		age := 24 * time.Hour
		write := func(t *testing.T, path, text string) {
			write(t, path, text)
			age -= time.Minute
			if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
				t.Fatal(err)
			}
		}
		write(t, f.path, keys+"[other]\nsecret = s\nproject = p\n")
		secret("of#the;file")
		if f.find("other") == nil {
			t.Error("a key that was added is not found")
		}
		if f.find("file") != f1 {
			t.Error("a key that is as before was made anew")
		}
		write(t, f.path, strings.ReplaceAll(keys, "of#", "in#")) // of the same size
		secret("in#the;file")
		was := f.find("file").Caller
		write(t, f.path, "[file]\nsecret = in#the;file\nproject = another\nrole = reader\n")
		secret("in#the;file")
		if got, want := f.find("file").Caller, (watch.Caller{Access: "file", Project: "another", Role: watch.Reader}); got != want {
			t.Errorf("with the same secret the key of %+v is of %+v, want %+v", was, got, want)
		}
		write(t, f.path, "[file]\nsecret = wrong\n")
		secret("in#the;file")
		if err := os.Remove(f.path); err != nil {
			t.Fatal(err)
		}
		secret("in#the;file")
		write(t, f.path, "")
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if k := f.find("file"); k != nil {
			t.Errorf("a key that was taken out: %+v", k)
		}
	})
}

// Two writes within the grain of a file system's clock look the same from
// outside: a file that new is read once more.
func TestKeyFileThatChangesTwiceAtOnce(t *testing.T) {
	f := keyFile(t, keys)
	at := time.Now().Add(time.Minute) // which is new, however long the test takes
	for _, text := range []string{keys, strings.ReplaceAll(keys, "of#", "in#")} {
		write(t, f.path, text)
		if err := os.Chtimes(f.path, at, at); err != nil {
			t.Fatal(err)
		}
		f.follow()
	}
	if k := f.find("file"); string(k.Secret) != "in#the;file" {
		t.Errorf("secret %s, want the one that was written last", string(k.Secret))
	}
}

// What is read is whole keys or mistakes that name a line.
func FuzzParseKeys(f *testing.F) {
	f.Add(keys)
	f.Add("[a]\nsecret=x\nproject=y\nrole=reader\n[b")
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := parseKeys("F", text)
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				if !strings.HasPrefix(line, "F:") {
					t.Errorf("mistake %q, want F:LINE: what", line)
				}
			}
			return
		}
		for access, k := range keys {
			if access == "" || k.Access != access || k.Secret == "" || k.Project == "" || k.Role == "" || k.Role == watch.Operator {
				t.Errorf("key %q = %+v", access, k)
			}
		}
	})
}
