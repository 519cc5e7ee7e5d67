package signal

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// described answers DescribeStackResource for a resource of a type, and gives
// signals to next.
func described(t *testing.T, kind string, next func(http.ResponseWriter, *http.Request, post)) func(http.ResponseWriter, *http.Request, post) {
	return func(w http.ResponseWriter, r *http.Request, p post) {
		if r.URL.Query().Get("Action") == "" {
			next(w, r, p)
			return
		}
		io.WriteString(w, `<DescribeStackResourceResponse><DescribeStackResourceResult><StackResourceDetail><StackId>`+stackARN+
			`</StackId><ResourceType>`+kind+`</ResourceType></StackResourceDetail></DescribeStackResourceResult></DescribeStackResourceResponse>`)
	}
}

func TestFakeHeatSignalOfAResource(t *testing.T) {
	const (
		upper   = "Data Reason Status UniqueId"
		lower   = "data id reason status"
		details = "data deploy_status_code deploy_stderr deploy_stdout id reason status"
	)
	for kind, tt := range map[string]struct{ method, route, keys, contentType string }{
		"AWS::CloudFormation::WaitConditionHandle": {"PUT", "waitcondition", upper, ""},
		"OS::Heat::UpdateWaitConditionHandle":      {"PUT", "waitcondition", upper, ""},
		"OS::Heat::WaitConditionHandle":            {"POST", "signal", lower, "application/json"},
		"OS::Heat::ScalingPolicy":                  {"POST", "signal", details, "application/json"},
		"AWS::AutoScaling::ScalingPolicy":          {"POST", "signal", details, "application/json"},
		"OS::Heat::SoftwareDeployment":             {"POST", "signal", details, "application/json"},
	} {
		h := newHeat(t, described(t, kind, keystone(t, 0)))
		if err := h.sender().Send(t.Context(), Request{Resource: h.resource(t, "R 1"), Signal: done}); err != nil {
			t.Errorf("%s: Send = %v", kind, err)
			continue
		}
		got := h.posts[1]
		path := "/v1/" + tt.route + "/arn%3Aopenstack%3Aheat%3A%3A72e8852e54094689a89a76f87c8c1576%3Astacks/t3/5bd66e27-5259-4ae3-b6ba-98681889ac96/resources/R%25201?"
		if got.method != tt.method || !strings.HasPrefix(got.uri, path) || got.keys() != tt.keys || got.contentType != tt.contentType {
			t.Errorf("%s: sent %s %s %q %s, want %s %s %q %s", kind, got.method, got.uri, got.contentType, got.keys(), tt.method, path, tt.contentType, tt.keys)
		}
	}
}

// A resource that cannot be signalled is an error: never a silent success.
func TestFakeHeatSignalOfOtherResources(t *testing.T) {
	h := newHeat(t, always(t, "describe-v4-xml-default"))
	err := h.sender().Send(t.Context(), Request{Resource: h.resource(t, "Guest"), Signal: done})
	const want = "resource Guest of stack t3: Heat cannot be signalled for Test::Guest; use a wait condition handle"
	if err == nil || err.Error() != want {
		t.Errorf("Send = %v, want %s", err, want)
	}
}

func TestFakeHeatSignalOfAResourceWithClockBehind(t *testing.T) {
	h := newHeat(t, described(t, "AWS::CloudFormation::WaitConditionHandle", keystone(t, time.Hour)))
	if err := h.sender().Send(t.Context(), Request{Resource: h.resource(t, "R"), Signal: done}); err != nil || len(h.posts) != 3 {
		t.Errorf("Send = %v after %d requests, want nil after 3", err, len(h.posts))
	}
}

func TestLyingHeatGivesNoARN(t *testing.T) {
	h := newHeat(t, func(w http.ResponseWriter, r *http.Request, p post) {
		io.WriteString(w, `{"DescribeStackResourceResponse":{"DescribeStackResourceResult":{"StackResourceDetail":{"ResourceType":"OS::Heat::WaitConditionHandle","StackId":"http://evil/"}}}}`)
	})
	if err := h.sender().Send(t.Context(), Request{Resource: h.resource(t, "R"), Signal: done}); err == nil || len(h.posts) != 1 {
		t.Errorf("Send = %v after %d requests, want an error after 1", err, len(h.posts))
	}
}

func TestOneTargetOnly(t *testing.T) {
	h := newHeat(t, always(t, "cfn-signal-1.4.2"))
	err := h.sender().Send(t.Context(), Request{URL: h.URL, Resource: h.resource(t, "R"), Signal: done})
	if err == nil || len(h.posts) != 0 {
		t.Errorf("Send = %v after %d requests, want an error after none", err, len(h.posts))
	}
}

func TestHandleTransports(t *testing.T) {
	var token string
	h := newHeat(t, func(w http.ResponseWriter, r *http.Request, p post) { token = r.Header.Get("X-Auth-Token") })
	for name, tt := range map[string]struct{ handle, method, keys, token string }{
		"TOKEN_SIGNAL":   {`{"alarm_url": "` + h.URL + `/v1/p/stacks/s/1/resources/R/signal", "token": "tok"}`, "POST", "data id reason status", "tok"},
		"endpoint":       {`{"endpoint": "` + h.URL + `/v1/p/stacks/s/1/resources/R/signal", "token": "tok"}`, "POST", "data id reason status", "tok"},
		"CFN_SIGNAL":     {`{"alarm_url": "` + h.presigned(waitPath, time.Now()) + `"}`, "PUT", "data id reason status", ""},
		"TEMPURL_SIGNAL": {`{"alarm_url": "` + h.URL + `/v1/AUTH_p/c/o?temp_url_sig=0a&temp_url_expires=9"}`, "PUT", "data id reason status", ""},
	} {
		h.posts = nil
		if err := h.sender().Send(t.Context(), Request{Handle: tt.handle, Signal: done}); err != nil {
			t.Errorf("%s: Send = %v", name, err)
			continue
		}
		if got := h.posts[0]; got.method != tt.method || got.keys() != tt.keys || token != tt.token {
			t.Errorf("%s: sent %s %s with token %q, want %s %s, %q", name, got.method, got.keys(), token, tt.method, tt.keys, tt.token)
		}
	}
	for _, handle := range []string{"[]", "x", "{}", `{"alarm_url":"` + h.URL + `","username":"u","password":"hush-hush"}`, `{"queue_id":"q"}`} {
		if err := h.sender().Send(t.Context(), Request{Handle: handle, Signal: done}); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("Send to handle %s = %v, want an error without secrets", handle, err)
		}
	}
}

func FuzzURL(f *testing.F) {
	f.Add("http://h:8000" + waitPath + "?Signature=x")
	f.Add("\"http://[::1]/%2f/arn:\"")
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := parseURL(raw)
		if err != nil {
			return
		}
		d := (&Sender{}).toURL(u, done)
		if _, err := d.build(t.Context(), u, d.bodies[0]); err != nil && strings.Contains(err.Error(), u.Host) {
			t.Errorf("build = %v, want no part of the URL in it", err)
		}
	})
}
