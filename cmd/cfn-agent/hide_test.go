package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Old templates give what is secret on the command line, which every user of
// the machine can read. heat-cfntools left it there, and gave it to curl too.
func TestSecretsAreNotSeenInTheProcessList(t *testing.T) {
	const secret = "GeheimGeheim"
	document := filepath.Join(t.TempDir(), "document.json")
	if err := os.WriteFile(document, []byte(`{"AWS::CloudFormation::Init": {"config": {}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"the URL of a signal":     {"cfn-signal", "--id", "1", "URL"},
		"a handle":                {"cfn-signal", "--id", "1", "--handle", `{"alarm_url": "URL"}`},
		"a signal of cfn-init":    {"cfn-init", "--signal", "URL", document},
		"a secret key":            {"cfn-get-metadata", "-s", "s", "-r", "r", "--access-key", "a", "--secret-key", secret, "--url", "URL"},
		"the password of a push":  {"cfn-push-stats", "--heartbeat", "--url", "URL", "-f", keysFile(t), "--http-proxy", "PROXY"},
		"the password of a check": {"cfn-push-stats", "--heartbeat", "--url", "SERVER", "-f", keysFile(t), "--check", "http://u:" + secret + "@127.0.0.1:1/"},
		"the query of a check":    {"cfn-push-stats", "--heartbeat", "--url", "SERVER", "-f", keysFile(t), "--check", "http://127.0.0.1:1/?token=" + secret},
	} {
		t.Run(name, func(t *testing.T) {
			seen := argumentsDuring(t, args, secret)
			if strings.Contains(seen, secret) {
				t.Errorf("others see %q", seen)
			}
			if !strings.Contains(seen, "****") {
				t.Errorf("others see %q: was it a secret that was given?", seen)
			}
		})
	}
}

func keysFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte("AWSAccessKeyId=a\nAWSSecretKey=b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// argumentsDuring runs a command, with URL a pre-signed one of a server, and
// returns its arguments as they are seen while the server is asked.
func argumentsDuring(t *testing.T, args []string, secret string) string {
	t.Helper()
	pid, seen := make(chan int, 1), make(chan string, 8)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p := <-pid
		pid <- p
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p))
		if err != nil {
			t.Error(err)
		}
		seen <- string(bytes.ReplaceAll(data, []byte{0}, []byte{' '}))
		w.WriteHeader(http.StatusBadRequest) // which is not tried again
	}))
	defer server.Close()
	var given []string
	words := strings.NewReplacer("URL", server.URL+"/v1/waitcondition/x?SignatureVersion=2&Signature="+secret,
		"SERVER", server.URL, "PROXY", strings.Replace(server.URL, "://", "://u:"+secret+"@", 1))
	for _, a := range args[1:] {
		given = append(given, words.Replace(a))
	}
	root := t.TempDir()
	if err := makeDirs(root, "etc", "run", "var/log"); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(args[0], given...)
	cmd.Env = append(os.Environ(), "CFN_ROOT="+root)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid <- cmd.Process.Pid
	_ = cmd.Wait() // it is refused
	select {
	case s := <-seen:
		return s
	default:
		t.Fatalf("%s asked nobody: %s", args[0], out.String())
		return ""
	}
}

func makeDirs(root string, names ...string) error {
	for _, name := range names {
		if err := os.MkdirAll(filepath.Join(root, name), 0o755); err != nil {
			return err
		}
	}
	return nil
}
