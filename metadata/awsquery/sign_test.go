package awsquery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

var testKeys = Credentials{AccessKey: "4567", SecretKey: "8901"}

// request makes a request without sending it.
func request(t *testing.T, method, url, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func at(t *testing.T, s string) time.Time {
	t.Helper()
	tm, err := time.Parse("20060102T150405Z", s)
	if err != nil {
		t.Fatal(err)
	}
	return tm
}

// The expected values were made by Keystone's own signer (keystoneclient).
func TestSignV2(t *testing.T) {
	tests := map[string]struct {
		method, url string
		now         time.Time
		want        string
	}{
		"PUT to a wait condition": {
			"PUT", "http://server.test:8000/v1/waitcondition/arn%3Aopenstack%3Aheat%3A%3Atest_tenant%3Astacks/test_stack2/STACKABCD1234/resources/WaitHandle",
			at(t, "20121129T134937Z"), "fHyt3XFnHq8/SwYaVcHdJka1hz6jdK5mHtgbo8OOKbQ=",
		},
		"the slashes of the ARN encoded, as old Heat does": {
			"PUT", "http://server.test:8000/v1/waitcondition/arn%3Aopenstack%3Aheat%3A%3Atest_tenant%3Astacks%2Ftest_stack2%2FSTACKABCD1234%2Fresources%2FWaitHandle",
			at(t, "20121129T134937Z"), "fHyt3XFnHq8/SwYaVcHdJka1hz6jdK5mHtgbo8OOKbQ=",
		},
		"a host in capitals": {
			"PUT", "http://SERVER.test:8000/v1/waitcondition/arn%3Aopenstack%3Aheat%3A%3Atest_tenant%3Astacks/test_stack2/STACKABCD1234/resources/WaitHandle",
			at(t, "20121129T134937Z"), "fHyt3XFnHq8/SwYaVcHdJka1hz6jdK5mHtgbo8OOKbQ=",
		},
		"an old signature replaced": {
			"PUT", "http://server.test:8000/v1/waitcondition/arn:openstack:heat::test_tenant:stacks/test_stack2/STACKABCD1234/resources/WaitHandle?Signature=x&Timestamp=2011-01-01T00%3A00%3A00Z&AWSAccessKeyId=other",
			at(t, "20121129T134937Z"), "fHyt3XFnHq8/SwYaVcHdJka1hz6jdK5mHtgbo8OOKbQ=",
		},
		"POST of a signal": {
			"POST", "http://server.test:8000/v1/signal/arn:openstack:heat::test_tenant:stacks/FnGetAtt-alarm-url/FnGetAtt-alarm-url/resources/signal_handler",
			at(t, "20121129T134937Z"), "JWGilkQ4gHS+Y4+zhL41xSAC7+cUCwDsaIxq9xPYPKE=",
		},
		"GET without a time": {
			"GET", "http://server.test:8000/v1/?Action=DescribeStackResource&StackName=teststack&LogicalResourceId=WikiDatabase",
			time.Time{}, "yvFDsr8NY2B2ZdjLSHK2ElqMdMI9/npDIOw07YKglPI=",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			req := request(t, tt.method, tt.url, "")
			path := req.URL.EscapedPath()
			SignV2(req, testKeys, tt.now)
			if got := req.URL.Query().Get("Signature"); got != tt.want {
				t.Errorf("SignV2(%s %s) = %q, want %q", tt.method, tt.url, got, tt.want)
			}
			if got := req.URL.EscapedPath(); got != path {
				t.Errorf("path after SignV2 = %q, want it kept: %q", got, path)
			}
		})
	}
}

func TestSignV4(t *testing.T) {
	const form = "application/x-www-form-urlencoded; charset=utf-8"
	const push = "Action=PutMetricData&Version=2010-08-01&Namespace=system%2Flinux&MetricData.member.1.MetricName=Heartbeat&MetricData.member.1.Value=1&MetricData.member.1.Unit=Count&MetricData.member.1.Dimensions.member.1.Name=AlarmName&MetricData.member.1.Dimensions.member.1.Value=st-HeartbeatFailureAlarm"
	tests := map[string]struct {
		method, url, body, contentType string
		keys                           Credentials
		region, service, now           string
		headers, want                  string
	}{
		"GET, as botocore signs it": {
			"GET", "http://server.test:8000/v1/?Action=DescribeStackResource&StackName=teststack&LogicalResourceId=WikiDatabase&Version=2010-05-15", "", "",
			testKeys, "", CloudFormation, "20240102T030405Z",
			"host;x-amz-date", "47273f61553427a0d498b28936e7b6cfd37b6a9bb3091f82975f1f1e385809e7",
		},
		"POST of a form, as botocore signs it": {
			"POST", "http://server.test:8003/v1/", push, form,
			testKeys, "heat", CloudWatch, "20240102T030405Z",
			"content-type;host;x-amz-date", "abc8196e24d4d5ddbe799b5413728cb52f15741609a7edab969d7cda0407f8d9",
		},
		"a request of heat-cfntools 1.4.2 that a Heat 19.0.0 accepted": {
			"GET", "http://127.0.0.1:8000/v1/?Action=DescribeStackResource&ContentType=JSON&LogicalResourceId=Guest&StackName=t4&Version=2010-05-15", "", "",
			Credentials{"043f5f565bb243e8b7a3a9de1dae93c3", "wBpCRycs^U@rhy0&MsOXWdvA9gGbsySk"}, "0", "127", "20261120T223653Z",
			"host;x-amz-date", "d921fe0fee136c99860a56d6f82adcf83db5314486bc1a1b920a1872bc85b423",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			req := request(t, tt.method, tt.url, tt.body)
			req.Header.Set("User-Agent", "not signed")
			if tt.contentType != "" {
				req.Header.Set("Content-Type", tt.contentType)
			}
			now := at(t, tt.now)
			if err := SignV4(t.Context(), req, []byte(tt.body), tt.keys, tt.region, tt.service, now); err != nil {
				t.Fatal(err)
			}
			region := tt.region
			if region == "" {
				region = "heat"
			}
			want := "AWS4-HMAC-SHA256 Credential=" + tt.keys.AccessKey + "/" + tt.now[:8] + "/" + region + "/" + tt.service +
				"/aws4_request, SignedHeaders=" + tt.headers + ", Signature=" + tt.want
			if got := req.Header.Get("Authorization"); got != want {
				t.Errorf("Authorization = %q, want %q", got, want)
			}
			if got := req.Header.Get("X-Amz-Date"); got != tt.now {
				t.Errorf("X-Amz-Date = %q, want %q", got, tt.now)
			}
		})
	}
}

// Keystone leaves the colons of an ARN bare in the canonical URI. A signer
// that encodes them, as the AWS one does by itself, is refused.
func TestSignV4LeavesColonsOfAnARN(t *testing.T) {
	const path = "/v1/signal/arn:openstack:heat::t:stacks/s/1/resources/R"
	req := request(t, "POST", "http://h:8000"+strings.ReplaceAll(path, ":", "%3A"), "{}")
	if err := SignV4(t.Context(), req, []byte("{}"), testKeys, "r", "s", at(t, "20240102T030405Z")); err != nil {
		t.Fatal(err)
	}
	hash := func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) }
	mac := func(key, s string) string {
		m := hmac.New(sha256.New, []byte(key))
		m.Write([]byte(s))
		return string(m.Sum(nil))
	}
	canonical := "POST\n" + path + "\n\nhost:h:8000\nx-amz-date:20240102T030405Z\n\nhost;x-amz-date\n" + hash("{}")
	text := "AWS4-HMAC-SHA256\n20240102T030405Z\n20240102/r/s/aws4_request\n" + hash(canonical)
	key := mac(mac(mac(mac("AWS4"+string(testKeys.SecretKey), "20240102"), "r"), "s"), "aws4_request")
	want := "Signature=" + hex.EncodeToString([]byte(mac(key, text)))
	if got := req.Header.Get("Authorization"); !strings.HasSuffix(got, want) {
		t.Errorf("Authorization = %q, want it to end in %q", got, want)
	}
}

func TestSignedHost(t *testing.T) {
	for in, want := range map[string]string{
		"http://H.Test:8000/":  "h.test:8000",
		"http://h:80/":         "h",
		"https://h:443/":       "h",
		"http://h:443/":        "h:443",
		"https://[FD00::1]/":   "[fd00::1]",
		"http://[fd00::1]:80/": "[fd00::1]",
		"http://[fd00::1]:81/": "[fd00::1]:81",
	} {
		u, err := url.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := signedHost(u); got != want {
			t.Errorf("signedHost(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestEncode(t *testing.T) {
	got := Encode(url.Values{"b": {"a b", "a+b"}, "B": {"~/:é"}, "a.10": {""}, "a.9": {"*"}})
	want := "B=~%2F%3A%C3%A9&a.10=&a.9=%2A&b=a%20b&b=a%2Bb"
	if got != want {
		t.Errorf("Encode = %q, want %q", got, want)
	}
}
