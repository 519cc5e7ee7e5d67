package cfnapi

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write makes a file of a guest below root.
func write(t *testing.T, root, path, text string) {
	t.Helper()
	path = filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// bootRoot is a guest that has only a cfn-boto-cfg.
func bootRoot(t *testing.T, boto string) string {
	t.Helper()
	root := t.TempDir()
	write(t, root, botoFile, boto)
	return root
}

// heat-cfntools took the text behind the last colon of cfn-metadata-server
// for the port, which fails for every URL that ends in /v1/, and then used
// 8000; it ignored host, scheme and path. All of the URL counts.
func TestEndpointOfMetadataServer(t *testing.T) {
	for in, want := range map[string]string{
		"http://192.0.2.1:8000":                 "http://192.0.2.1:8000/v1/",
		"http://192.0.2.1:8000/":                "http://192.0.2.1:8000/v1/",
		"http://192.0.2.1:8000/v1":              "http://192.0.2.1:8000/v1/",
		"http://192.0.2.1:8000/v1/":             "http://192.0.2.1:8000/v1/",
		"http://192.0.2.1:9000/v1/\n":           "http://192.0.2.1:9000/v1/",
		" \thttps://heat.example/v1/ \r\n":      "https://heat.example/v1/",
		"https://cloud/heat-api-cfn/v1/":        "https://cloud/heat-api-cfn/v1/",
		"https://cloud/heat-api-cfn":            "https://cloud/heat-api-cfn/v1/",
		"https://cloud:6969/a%20b/v1":           "https://cloud:6969/a%20b/v1/",
		"HTTP://Cloud/V1":                       "http://Cloud/V1/v1/",
		"http://[fd00::1]:8000/v1/":             "http://[fd00::1]:8000/v1/",
		"http://[fd00::1]":                      "http://[fd00::1]/v1/",
		"http://[fe80::1%25eth0]:8000":          "http://[fe80::1%25eth0]:8000/v1/",
		"http://u:p@h:8000/v1/?x=1#f":           "http://h:8000/v1/",
		"http://172.20.42.42:8000\n":            "http://172.20.42.42:8000/v1/",
		"https://abc.foo.bar:6969\n":            "https://abc.foo.bar:6969/v1/",
		"http://172.20.42.42":                   "http://172.20.42.42/v1/",
		"172.20.42.42":                          "https://172.20.42.42:8000/v1/",
		"heat:9000":                             "https://heat:9000/v1/",
		"heat/v1/":                              "https://heat:8000/v1/",
		"fd00::1":                               "https://[fd00::1]:8000/v1/",
		"[fd00::1]:9000":                        "https://[fd00::1]:9000/v1/",
		"":                                      "https://192.0.2.7:8000/v1/",
		"\n":                                    "https://192.0.2.7:8000/v1/",
		"::::":                                  "https://192.0.2.7:8000/v1/",
		"beforecolons:aftercolons":              "https://192.0.2.7:8000/v1/",
		"ftp://heat/":                           "https://192.0.2.7:8000/v1/",
		"http://":                               "https://192.0.2.7:8000/v1/",
		"http://h:port/":                        "https://192.0.2.7:8000/v1/",
		"http://192.0.2.1:8000/v1/\nhttp://two": "https://192.0.2.7:8000/v1/",
	} {
		root := bootRoot(t, "[Boto]\nis_secure = 1\ncfn_region_endpoint = 192.0.2.7\n")
		write(t, root, serverFile, in)
		got, err := Endpoint(root, "")
		if err != nil || got.String() != want {
			t.Errorf("Endpoint(%q) = %v, %v, want %s", in, got, err, want)
		}
	}
}

// --url was accepted by heat-cfntools and ignored.
func TestEndpointOfOption(t *testing.T) {
	root := t.TempDir()
	write(t, root, serverFile, "http://192.0.2.1:8000/v1/")
	got, err := Endpoint(root, "https://other:1/x")
	if err != nil || got.String() != "https://other:1/x/v1/" {
		t.Errorf("Endpoint = %v, %v, want https://other:1/x/v1/", got, err)
	}
	if got, err := Endpoint(root, "ftp://u:hush@x"); err == nil || err.Error() != `option --url: its scheme "ftp" is neither http nor https` {
		t.Errorf("Endpoint = %v, %v, want the option blamed", got, err)
	}
}

func TestEndpointOfBoto(t *testing.T) {
	for boto, want := range map[string]string{
		"[Boto]\nis_secure = 0\ncfn_region_endpoint = 192.0.2.7\n":             "http://192.0.2.7:8000/v1/",
		"[Boto]\nis_secure = True\ncfn_region_endpoint = 192.0.2.7\n":          "https://192.0.2.7:8000/v1/",
		"[Boto]\r\ncfn_region_endpoint=heat.example\r\n":                       "http://heat.example:8000/v1/",
		"[Boto]\ncfn_region_endpoint = fd00::7\n":                              "http://[fd00::7]:8000/v1/",
		"[Boto]\ndebug = %(x)s\ncfn_region_endpoint = h # where Heat is\njunk": "http://h:8000/v1/",
	} {
		got, err := Endpoint(bootRoot(t, boto), "")
		if err != nil || got.String() != want {
			t.Errorf("Endpoint(%q) = %v, %v, want %s", boto, got, err, want)
		}
	}
}

func TestEndpointNowhere(t *testing.T) {
	_, err := Endpoint(t.TempDir(), " ")
	if err == nil {
		t.Fatal("Endpoint = nil error, want one")
	}
	for _, source := range []string{"--url", "cfn-metadata-server: no such file", "cfn-boto-cfg: no such file"} {
		if !strings.Contains(err.Error(), source) {
			t.Errorf("Endpoint = %q, want it to name %q", err, source)
		}
	}
}

func TestParseBotoBooleans(t *testing.T) {
	for value, want := range map[string]Boto{
		"true": {Secure: true}, "True": {Secure: true}, "yes": {Secure: true}, "1": {Secure: true},
		"false": {Insecure: true}, "no": {Insecure: true}, "0": {Insecure: true}, "False": {Insecure: true},
		// What is no boolean turns neither TLS nor its checks on or off.
		"None": {}, "fingle": {}, "": {},
	} {
		got, err := ParseBoto([]byte("[Boto]\nis_secure = " + value + "\nHTTPS_Validate_Certificates: " + value + "\n"))
		if err != nil || got != want {
			t.Errorf("ParseBoto(%q) = %+v, %v, want %+v", value, got, err, want)
		}
	}
}

func FuzzParseBoto(f *testing.F) {
	f.Add([]byte("[Boto]\ndebug = 0\nis_secure = 0\nhttps_validate_certificates = 1\ncfn_region_name = heat\ncfn_region_endpoint = 192.0.2.7\n"))
	f.Add([]byte("[Boto]\r\ncfn_region_endpoint = %(cfn_region_endpoint)s\r\n[Boto]\n\"\"\"\n= ; #"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := ParseBoto(data)
		if err != nil && b != (Boto{}) {
			t.Errorf("ParseBoto = %+v, %v, want nothing with an error", b, err)
		}
	})
}

func FuzzParseEndpoint(f *testing.F) {
	for _, s := range []string{"http://h:8000/v1/", "::::", "beforecolons:aftercolons", "[fd00::1]:1/%zz", "h//v1//", "http://[fe80::1%25e]/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseEndpoint(s, "http", defaultPort)
		if err != nil {
			return
		}
		if u.Hostname() == "" || !strings.HasSuffix(u.Path, "/") || !strings.Contains(u.Path, "/v1/") || u.RawQuery != "" || u.User != nil {
			t.Errorf("ParseEndpoint(%q) = %s, want a host and a path with /v1/", s, u)
		}
	})
}
