package cfnapi

import (
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// writeCA puts the certificate of a TLS server where the override belongs.
func writeCA(t *testing.T, root string, s *httptest.Server) (path string) {
	t.Helper()
	write(t, root, CAOverrideFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	return filepath.Join(root, CAOverrideFile)
}

func TestTransportBadBundle(t *testing.T) {
	root := t.TempDir()
	write(t, root, CAOverrideFile, "no certificate")
	if _, err := NewTransport(TransportOptions{Root: root}); err == nil || !strings.Contains(err.Error(), CAOverrideFile+": it holds no PEM certificate") {
		t.Errorf("NewTransport = %v, want the bundle named", err)
	}
	if _, err := NewTransport(TransportOptions{Root: root, CAOverride: "/none.pem"}); err == nil || !strings.Contains(err.Error(), "/none.pem") {
		t.Errorf("NewTransport = %v, want CA_OVERRIDE's file named", err)
	}
}

func TestProxyOptions(t *testing.T) {
	for name, tt := range map[string]struct {
		options   TransportOptions
		url, want string
	}{
		"http":             {TransportOptions{HTTPProxy: "http://p:3128"}, "http://heat/v1/", "http://p:3128"},
		"no scheme":        {TransportOptions{HTTPProxy: "p:3128"}, "http://heat/v1/", "http://p:3128"},
		"user":             {TransportOptions{HTTPSProxy: "u:w@p:3128"}, "https://heat/v1/", "http://u:w@p:3128"},
		"https proxy":      {TransportOptions{HTTPSProxy: "https://p:3128"}, "https://heat/v1/", "https://p:3128"},
		"other scheme":     {TransportOptions{HTTPSProxy: "p:3128"}, "http://heat/v1/", ""},
		"metadata service": {TransportOptions{HTTPProxy: "p:3128"}, "http://169.254.169.254/openstack", ""},
	} {
		tr, err := NewTransport(tt.options)
		if err != nil {
			t.Fatal(err)
		}
		req := httptest.NewRequest(http.MethodGet, tt.url, nil)
		got := ""
		if u, err := tr.Proxy(req); err != nil {
			t.Fatal(err)
		} else if u != nil {
			got = u.String()
		}
		if got != tt.want {
			t.Errorf("%s: proxy = %q, want %q", name, got, tt.want)
		}
	}
}

func TestBadProxyOptionShowsNoPassword(t *testing.T) {
	for _, value := range []string{"http://u:hush-hush@:x", "ftp://u:hush-hush@p:1", "http://"} {
		_, err := NewTransport(TransportOptions{HTTPProxy: value})
		if err == nil || !strings.HasPrefix(err.Error(), "option --http-proxy: ") || strings.Contains(err.Error(), "hush") {
			t.Errorf("NewTransport(%q) = %v, want the option blamed and no password", value, err)
		}
	}
}

// heat-cfntools cfn-init never read /etc/cfn/cfn-credentials, so templates
// pass keys on the command line, for all to see.
func TestFindCredentials(t *testing.T) {
	root := t.TempDir()
	write(t, root, CredentialsFile, "AWSAccessKeyId=file\nAWSSecretKey=s\n")
	write(t, root, "/mine", "AWSAccessKeyId=mine\nAWSSecretKey=s\n")
	mine := filepath.Join(root, "mine")
	for name, tt := range map[string]struct {
		options CredentialOptions
		want    string
		wantErr string
	}{
		"file option first": {CredentialOptions{Root: root, File: mine, AccessKey: "a", SecretKey: "s"}, "mine", ""},
		"then the pair":     {CredentialOptions{Root: root, AccessKey: "a", SecretKey: "s"}, "a", ""},
		"then the file":     {CredentialOptions{Root: root}, "file", ""},
		"no secret":         {CredentialOptions{Root: root, AccessKey: "a"}, "", "--access-key needs --secret-key"},
		"no key":            {CredentialOptions{Root: root, SecretKey: "s"}, "", "--secret-key needs --access-key"},
		"missing file":      {CredentialOptions{Root: root, File: mine + "x"}, "", "read credentials file: open " + mine + "x: no such file or directory"},
	} {
		got, err := FindCredentials(tt.options)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got.AccessKey != tt.want || text != tt.wantErr {
			t.Errorf("%s: FindCredentials = %q, %q, want %q, %q", name, got.AccessKey, text, tt.want, tt.wantErr)
		}
	}
	if _, err := FindCredentials(CredentialOptions{Root: t.TempDir()}); !errors.Is(err, ErrNoCredentials) {
		t.Errorf("FindCredentials = %v, want %v", err, ErrNoCredentials)
	}
}
