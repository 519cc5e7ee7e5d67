package awsquery

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSecretNeverShows(t *testing.T) {
	const value = "s3cr3t-value"
	s := Secret(value)
	c := Credentials{AccessKey: "a", SecretKey: s}
	j, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", s, "all", c, "ptr", &c)
	shown := []string{
		s.String(), s.GoString(), string(j), log.String(), fmt.Sprint(s), fmt.Sprint(&c),
		fmt.Sprintf("%s %q %v %+v %#v %x %X %d", s, s, c, c, c, s, s, s),
	}
	for _, text := range shown {
		if strings.Contains(text, value) || strings.Contains(text, fmt.Sprintf("%x", value)) || !strings.Contains(text, "[secret]") {
			t.Errorf("shown %q, want [secret]", text)
		}
	}
	if string(s) != value {
		t.Errorf("string(s) = %q, want the value", string(s))
	}
}

// heat-cfntools split the file at line feeds and equal signs only: CRLF and
// quotes became part of the keys, and every request was refused.
func TestParseCredentials(t *testing.T) {
	want := Credentials{AccessKey: "foo", SecretKey: "bar!@#%^&*=x"}
	for name, text := range map[string]string{
		"plain":          "AWSAccessKeyId=foo\nAWSSecretKey=bar!@#%^&*=x\n",
		"space before":   "AWSAccessKeyId =foo\nAWSSecretKey =bar!@#%^&*=x",
		"space behind":   "AWSAccessKeyId= foo\nAWSSecretKey= bar!@#%^&*=x",
		"many spaces":    "  AWSAccessKeyId    =    foo  \n\tAWSSecretKey\t=\tbar!@#%^&*=x \n",
		"CRLF":           "AWSAccessKeyId=foo\r\n\r\nAWSSecretKey=bar!@#%^&*=x\r\n",
		"quotes":         "AWSAccessKeyId=\"foo\"\nAWSSecretKey='bar!@#%^&*=x'\n",
		"last wins":      "AWSAccessKeyId=old\nAWSSecretKey=old\nAWSSecretKey=bar!@#%^&*=x\nAWSAccessKeyId=foo",
		"other lines":    "# AWSSecretKey=no\n[x]\n\nRegion=r\nAWSAccessKeyId=foo\nAWSSecretKey=bar!@#%^&*=x\n",
		"byte order":     "\ufeffAWSAccessKeyId=foo\nAWSSecretKey=bar!@#%^&*=x\n",
		"secret comes 1": "AWSSecretKey=bar!@#%^&*=x\nAWSAccessKeyId=foo\n",
	} {
		if got, err := ParseCredentials([]byte(text)); err != nil || got != want {
			t.Errorf("%s: ParseCredentials = %s %s, %v, want %s", name, got.AccessKey, string(got.SecretKey), err, want.AccessKey)
		}
	}
}

// heat-cfntools ended in a traceback here.
func TestLoadCredentialsErrorsNameTheFile(t *testing.T) {
	dir := t.TempDir()
	for name, tt := range map[string]struct{ text, want string }{
		"empty":     {"", "it has neither AWSAccessKeyId= nor AWSSecretKey="},
		"no secret": {"AWSAccessKeyId=foo\n", "it has no AWSSecretKey="},
		"no key":    {"AWSSecretKey=hush-hush\nAWSAccessKeyId=\n", "it has no AWSAccessKeyId="},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := LoadCredentials(path)
		if want := "read credentials file " + path + ": " + tt.want; err == nil || err.Error() != want {
			t.Errorf("LoadCredentials(%s) = %v, want %q", name, err, want)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "none")} {
		if _, _, err := LoadCredentials(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("LoadCredentials(%s) = %v, want an error that names it", path, err)
		}
	}
}

func TestLoadCredentialsTellsLooseModes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cfn-credentials")
	if err := os.WriteFile(path, []byte("AWSAccessKeyId=a\nAWSSecretKey=b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]bool{0o400: false, 0o600: false, 0o640: true, 0o604: true} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, got, err := LoadCredentials(path); err != nil || got != want {
			t.Errorf("LoadCredentials, mode %o = loose %v, %v, want %v", mode, got, err, want)
		}
	}
}

func FuzzParseCredentials(f *testing.F) {
	f.Add([]byte("AWSAccessKeyId = foo\r\nAWSSecretKey='b=r'\r\n"))
	f.Add([]byte("\xef\xbb\xbfAWSAccessKeyId=\"\nAWSSecretKey=\"\""))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseCredentials(data)
		if (err == nil) != (c.AccessKey != "" && c.SecretKey != "") {
			t.Fatalf("ParseCredentials = %q, %v: want both keys or an error", c.AccessKey, err)
		}
		if strings.ContainsAny(c.AccessKey+string(c.SecretKey), "\n") {
			t.Errorf("a key holds a line end: %q", data)
		}
		if err != nil && c != (Credentials{}) {
			t.Errorf("ParseCredentials gives an error and a key")
		}
	})
}
