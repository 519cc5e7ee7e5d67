package signal

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cfn-agent/cfn-agent/agent/retry"
	"github.com/cfn-agent/cfn-agent/metadata/nova"
)

// heat-cfntools took only "true" and "0", exactly so: -s True, -s yes, -e 00
// and -e " 0" reported a failure of what had worked.
func TestStatus(t *testing.T) {
	const unset = "\x00"
	for name, tt := range map[string]struct {
		success, exit string
		want          string
		warned        bool
	}{
		"nothing given":             {unset, unset, Success, false},
		"-s true":                   {"true", unset, Success, false},
		"-s True":                   {"True", unset, Success, false},
		"-s yes":                    {"yes", unset, Success, false},
		"-s 1":                      {"1", unset, Success, false},
		"-s ' TRUE '":               {" TRUE ", unset, Success, false},
		"-s false":                  {"false", unset, Failure, false},
		"-s 0":                      {"0", unset, Failure, false},
		"-s ''":                     {"", unset, Failure, true},
		"-s text":                   {"all is well", unset, Failure, true},
		"-s text -e 0":              {"all is well", "0", Success, false},
		"-s false -e 0":             {"false", "0", Success, false},
		"-s true -e 1":              {"true", "1", Failure, false},
		"-e 0":                      {unset, "0", Success, false},
		"-e 00":                     {unset, "00", Success, false},
		"-e ' 0'":                   {unset, " 0", Success, false},
		"-e 1":                      {unset, "1", Failure, false},
		"-e -1":                     {unset, "-1", Failure, false},
		"-e 256":                    {unset, "256", Failure, false},
		"-e text":                   {unset, "zero", Failure, true},
		"-e text -s true":           {"true", "$?", Failure, true},
		"-e '' counts as not given": {unset, "", Success, true},
		"-e '' -s false":            {"false", " ", Failure, true},
		"-e '' -s text":             {"hm", "", Failure, true},
	} {
		got, warn := Status(strings.TrimPrefix(tt.success, unset), tt.success != unset, strings.TrimPrefix(tt.exit, unset), tt.exit != unset)
		if got != tt.want || (warn != "") != tt.warned {
			t.Errorf("%s: Status = %s, %q, want %s, a warning: %v", name, got, warn, tt.want, tt.warned)
		}
	}
}

// heat-cfntools gave a failure the reason "Configuration Complete".
func TestDefault(t *testing.T) {
	const data = "Application has completed configuration."
	for status, want := range map[string]Signal{
		Success: {Status: Success, Reason: "Configuration Complete", Data: data},
		Failure: {Status: Failure, Reason: "Configuration failed.", Data: data},
	} {
		if got := Default(status); got != want {
			t.Errorf("Default(%s) = %+v, want %+v", status, got, want)
		}
	}
}

func TestDefaultID(t *testing.T) {
	const id = "7d2b6c5e-0000-4000-8000-000000000001"
	body := `{"uuid": "` + id + `"}`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) }))
	defer s.Close()
	n := nova.Client{URL: s.URL, Root: t.TempDir(), Retry: retry.Policy{Tries: 1}}
	if got := DefaultID(t.Context(), n, "web.example.org"); got != id {
		t.Errorf("DefaultID = %q, want %q", got, id)
	}
	body = "<html>"
	if got := DefaultID(t.Context(), n, "web.example.org"); got != "web.example.org" {
		t.Errorf("DefaultID = %q, want web.example.org", got)
	}
}
