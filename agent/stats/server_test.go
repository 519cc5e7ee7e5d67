package stats

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sources are all places of an address below a root, in their order.
func sources(t *testing.T, root string) {
	t.Helper()
	for path, text := range map[string]string{
		AgentConfig: "[main]\nwatch-url = https://agent-conf/\n",
		hupConfig:   "[main]\nstack = s\nwatch-url: hup-conf\n",
		serverFile:  "http://192.0.2.1:8003\n",
		botoFile:    "[Boto]\nis_secure = 0\ncfn_region_endpoint = cfn\ncloudwatch_region_endpoint = 192.0.2.2\n",
	} {
		write(t, filepath.Join(root, path), text)
	}
}

func TestServerIsFoundInOneOrder(t *testing.T) {
	root := t.TempDir()
	sources(t, root)
	f := func(option, environ, want string) {
		t.Helper()
		if got, err := Server(root, option, environ, ""); err != nil || got.String() != want {
			t.Errorf("Server(%q, %q) = %v, %v, want %s", option, environ, got, err, want)
		}
	}
	f("https://option/p/", "http://environ:1/v1", "https://option/p/v1/")
	f(" ", "http://environ:1/v1", "http://environ:1/v1/")
	f("[2001:db8::1]", "", "http://[2001:db8::1]:8003/v1/")
	for _, step := range []struct{ want, remove string }{
		{"https://agent-conf/v1/", AgentConfig},
		{"http://hup-conf:8003/v1/", hupConfig},
		{"http://192.0.2.1:8003/v1/", serverFile},
		{"http://192.0.2.2:8003/v1/", botoFile},
	} {
		f("", "", step.want)
		if err := os.Remove(filepath.Join(root, step.remove)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Server(root, "", "", ""); !errors.Is(err, ErrNoServer) {
		t.Errorf("Server = %v, %v, want ErrNoServer", got, err)
	}
}

func TestServerKeepsSchemeOfBoto(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, botoFile), "[Boto]\nis_secure = 1\ncloudwatch_region_endpoint = h\n")
	if got, err := Server(root, "", "", ""); err != nil || got.String() != "https://h:8003/v1/" {
		t.Errorf("Server = %v, %v, want https", got, err)
	}
	write(t, filepath.Join(root, serverFile), "http://h:8003/v1/")
	if got, err := Server(root, "", "", ""); err != nil || got.String() != "http://h:8003/v1/" {
		t.Errorf("Server = %v, %v, want the scheme of the URL", got, err)
	}
}

// With the cfn-boto-cfg of Heat 10 (Queens) and newer, which names no alarm
// server, heat-cfntools let boto fall back to its own default: signed data of
// the guest went to monitoring.us-east-1.amazonaws.com.
func TestNoServerIsNeverAPublicCloud(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, botoFile), "[Boto]\ndebug = 0\nis_secure = 0\nhttps_validate_certificates = 1\n"+
		"cfn_region_name = heat\ncfn_region_endpoint = 192.0.2.1\n")
	write(t, filepath.Join(root, "/var/lib/heat-cfntools/cfn-metadata-server"), "http://192.0.2.1:8000/v1/")
	got, err := Server(root, "", "", "")
	if got != nil || !errors.Is(err, ErrNoServer) {
		t.Fatalf("Server = %v, %v, want ErrNoServer", got, err)
	}
	for _, place := range []string{"--url", "CFN_WATCH_URL", "/etc/cfn/cfn-agent.conf", "/etc/cfn/cfn-hup.conf", "cfn-watch-server", "cloudwatch_region_endpoint"} {
		if !strings.Contains(err.Error(), place) {
			t.Errorf("Server: %v, want it to name %s", err, place)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("Server: %q, want one line", err)
	}
}

// An address that cannot be used is not passed over for the next.
func TestServerRefusesABadAddress(t *testing.T) {
	root := t.TempDir()
	sources(t, root)
	for place, set := range map[string]func() (option, environ string){
		"option --url":  func() (string, string) { return "ftp://h/", "" },
		"CFN_WATCH_URL": func() (string, string) { return "", "http://" },
		"watch-url in /etc/cfn/cfn-agent.conf": func() (string, string) {
			write(t, filepath.Join(root, AgentConfig), "[main]\nwatch-url = http://u:geheim@:80/\n")
			return "", ""
		},
	} {
		option, environ := set()
		got, err := Server(root, option, environ, "")
		if err == nil || !strings.Contains(err.Error(), place+": it") && !strings.Contains(err.Error(), place+": its") || strings.Contains(err.Error(), "geheim") {
			t.Errorf("Server = %v, %v, want an error of %s", got, err, place)
		}
	}
}
