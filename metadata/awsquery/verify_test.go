package awsquery

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	pushForm = "application/x-www-form-urlencoded; charset=utf-8"
	pushBody = "Action=PutMetricData&Version=2010-08-01&Namespace=system%2Flinux&MetricData.member.1.MetricName=Heartbeat&MetricData.member.1.Value=1&MetricData.member.1.Unit=Count&MetricData.member.1.Dimensions.member.1.Name=AlarmName&MetricData.member.1.Dimensions.member.1.Value=st-HeartbeatFailureAlarm"
)

// arrive turns what a client sends into what a server gets of it.
func arrive(t testing.TB, raw string) (*http.Request, []byte) {
	t.Helper()
	head, body, _ := strings.Cut(raw, "\r\n\r\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head + "\r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	return r, []byte(body)
}

// raw writes a request; lines are headers.
func raw(method, target, body string, headers ...string) string {
	return method + " " + target + " HTTP/1.1\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n" + body
}

func authorization(access, scope, headers, signature string) string {
	return "Authorization: AWS4-HMAC-SHA256 Credential=" + access + "/" + scope + ", SignedHeaders=" + headers + ", Signature=" + signature
}

func sent(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name + ".request.http")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// signedRequests were signed by others: by Keystone's own signer
// (keystoneclient), by botocore and by boto.
func signedRequests(t testing.TB) map[string]struct{ raw, access, secret string } {
	const (
		v2   = "AWSAccessKeyId=4567&SignatureMethod=HmacSHA256&SignatureVersion=2"
		time = "&Timestamp=2012-11-29T13%3A49%3A37Z"
		host = "Host: server.test:8000"
	)
	return map[string]struct{ raw, access, secret string }{
		"v2 PUT to a wait condition": {raw("PUT",
			"/v1/waitcondition/arn:openstack:heat::test_tenant:stacks/test_stack2/STACKABCD1234/resources/WaitHandle?"+v2+time+"&Signature=fHyt3XFnHq8%2FSwYaVcHdJka1hz6jdK5mHtgbo8OOKbQ%3D", "", host), "4567", "8901"},
		"v2 POST of a signal, parameters in its URL": {raw("POST",
			"/v1/signal/arn:openstack:heat::test_tenant:stacks/FnGetAtt-alarm-url/FnGetAtt-alarm-url/resources/signal_handler?"+v2+time+"&Signature=JWGilkQ4gHS%2BY4%2BzhL41xSAC7%2BcUCwDsaIxq9xPYPKE%3D", "", host), "4567", "8901"},
		"v2 POST, parameters in its form": {raw("POST",
			"/v1/signal/arn:openstack:heat::test_tenant:stacks/FnGetAtt-alarm-url/FnGetAtt-alarm-url/resources/signal_handler", v2+time+"&Signature=JWGilkQ4gHS%2BY4%2BzhL41xSAC7%2BcUCwDsaIxq9xPYPKE%3D", host, "Content-Type: "+pushForm), "4567", "8901"},
		"v2 GET without time and method": {raw("GET",
			"/v1/?Action=DescribeStackResource&StackName=teststack&LogicalResourceId=WikiDatabase&AWSAccessKeyId=4567&SignatureVersion=2&Signature=yvFDsr8NY2B2ZdjLSHK2ElqMdMI9%2FnpDIOw07YKglPI%3D", "", host), "4567", "8901"},
		"v2 with a host in capitals": {raw("GET",
			"/v1/?Action=DescribeStackResource&StackName=teststack&LogicalResourceId=WikiDatabase&AWSAccessKeyId=4567&SignatureVersion=2&Signature=yvFDsr8NY2B2ZdjLSHK2ElqMdMI9%2FnpDIOw07YKglPI%3D", "", "Host: SERVER.test:8000"), "4567", "8901"},
		"v4 GET": {raw("GET",
			"/v1/?Action=DescribeStackResource&StackName=teststack&LogicalResourceId=WikiDatabase&Version=2010-05-15", "", host, "X-Amz-Date: 20240102T030405Z",
			authorization("4567", "20240102/heat/cloudformation/aws4_request", "host;x-amz-date", "47273f61553427a0d498b28936e7b6cfd37b6a9bb3091f82975f1f1e385809e7")), "4567", "8901"},
		"v4 POST of a form": {raw("POST", "/v1/", pushBody, "Host: server.test:8003", "X-Amz-Date: 20240102T030405Z", "Content-Type: "+pushForm,
			authorization("4567", "20240102/heat/monitoring/aws4_request", "content-type;host;x-amz-date", "abc8196e24d4d5ddbe799b5413728cb52f15741609a7edab969d7cda0407f8d9")), "4567", "8901"},
		"v4 POST of boto, region and service as it guesses them": {sent(t, "push-boto-2.49"), "043f5f565bb243e8b7a3a9de1dae93c3", "wBpCRycs^U@rhy0&MsOXWdvA9gGbsySk"},
	}
}

func TestSignaturesOfOthersVerify(t *testing.T) {
	for name, tt := range signedRequests(t) {
		t.Run(name, func(t *testing.T) {
			s, err := ReadSignature(arrive(t, tt.raw))
			if err != nil {
				t.Fatal(err)
			}
			if s.Access != tt.access {
				t.Errorf("access key %q, want %q", s.Access, tt.access)
			}
			c := Checker{Secret: Secret(tt.secret)}
			for range 2 {
				if !c.Made(s) {
					t.Error("Made = false, want true, and again")
				}
			}
			if (&Checker{Secret: Secret(tt.secret + "x")}).Made(s) {
				t.Error("Made with another secret = true")
			}
		})
	}
}

// Whatever is changed of a request that is signed, its signature is not right
// any more, or is refused.
func TestSignatureCoversTheRequest(t *testing.T) {
	changes := map[string][][2]string{
		"v4 POST of a form": {
			{"POST /v1/ ", "PUT /v1/ "}, {"POST /v1/ ", "POST /v1 "}, {"POST /v1/ ", "POST /v1/?Action=DeleteAlarms "}, {"Value=1&", "Value=0&"},
			{"server.test:8003", "server.test:8004"}, {"T030405Z", "T030406Z"}, {"charset=utf-8", "charset=utf-9"}, {"/heat/", "/eu/"}, {"/monitoring/", "/s3/"},
			{"content-type;host", "host"}, {"Signature=a", "Signature=b"}, {"Host:", "X-Amz-Target: GraniteServiceVersion20100801.DeleteAlarms\r\nHost:"},
		},
		"v4 GET": {
			{"StackName=teststack", "StackName=other"}, {"&Version=2010-05-15", ""}, {"&Version=2010-05-15", "&Version=2010-05-15&x=y"},
			{"&Version=2010-05-15", "&Version=2010-05-15&StackName=other"},
		},
		"v2 POST, parameters in its form": {
			{"POST /v1", "PUT /v1"}, {"signal_handler", "other"}, {"server.test", "other.test"}, {"13%3A49", "13%3A50"}, {"&SignatureV", "&x=y&SignatureV"},
			{"signal_handler ", "signal_handler?x=y "}, {"signal_handler ", "signal_handler?Timestamp=2012-11-29T13:49:37Z "},
			{"Content-Type: " + pushForm, "Content-Type: text/plain"}, {"Host:", "X-Amz-Target: GraniteServiceVersion20100801.DeleteAlarms\r\nHost:"},
			{"Host:", "Smithy-Protocol: rpc-v2-cbor\r\nHost:"}, {"Host:", "Content-Encoding: gzip\r\nHost:"},
		},
	}
	requests := signedRequests(t)
	for name, pairs := range changes {
		for _, change := range pairs {
			tt := requests[name]
			head, body, _ := strings.Cut(tt.raw, "\r\n\r\n")
			if changed := strings.Replace(head, change[0], change[1], 1); changed != head {
				head = changed
			} else if body = strings.Replace(body, change[0], change[1], 1); !strings.Contains(body, change[1]) {
				t.Fatalf("%s has no %q", name, change[0])
			}
			s, err := ReadSignature(arrive(t, head+"\r\n\r\n"+body))
			if err == nil && (&Checker{Secret: Secret(tt.secret)}).Made(s) {
				t.Errorf("%s: verifies with %q for %q", name, change[1], change[0])
			}
		}
	}
}

// Whoever knows no secret cannot have the server spend many times what they
// sent: a header that is signed again and again, as different names or the
// same, and a form of nothing but the names of parameters.
func TestUnsignedRequestsAreCheap(t *testing.T) {
	again := strings.Repeat(";long", 7_000)
	var cases, form strings.Builder
	for i := range 3_000 { // AAAA, aAAA, AaAA, ...
		name := []byte("AAAAAAAAAAAA")
		for bit := range name {
			name[bit] += byte(i>>bit&1) * ('a' - 'A')
		}
		cases.WriteString(";" + string(name))
	}
	for i := range 150_000 {
		form.WriteString(strconv.FormatInt(int64(i), 36) + "&")
	}
	v4 := func(headers string) string {
		return raw("POST", "/v1/", "", "Host: h", "X-Amz-Date: 20240102T030405Z", "Long: "+strings.Repeat("x", 30_000), "Aaaaaaaaaaaa: "+strings.Repeat("x", 30_000),
			authorization("4567", "20240102/heat/monitoring/aws4_request", headers, strings.Repeat("0", 64)))
	}
	v2 := func(form string) string { return raw("POST", "/v1/", form, "Host: h", "Content-Type: "+pushForm) }
	for name, request := range map[string]string{
		"one header again and again": v4("host" + again), "one header in many spellings": v4("host" + cases.String()), "many parameters": v2(form.String()),
	} {
		r, body := arrive(t, request)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if s, err := ReadSignature(r, body); err == nil {
			(&Checker{Secret: "8901"}).Made(s)
		}
		runtime.ReadMemStats(&after)
		spent := after.TotalAlloc - before.TotalAlloc
		if most := uint64(4 * len(request)); spent > most {
			t.Errorf("%s: %d bytes sent have %d allocated, want at most %d", name, len(request), spent, most)
		}
	}
}

// What the SDKs of AWS sign has more headers, and bodies that are no forms.
func TestSignatureOfTheSDK(t *testing.T) {
	body := []byte{0xbf, 0xff}
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://h:8003/v1/service/GraniteServiceVersion20100801/operation/PutMetricData", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]string{
		"Content-Type": "application/cbor", "Smithy-Protocol": "rpc-v2-cbor", "X-Amz-Target": "x", "Amz-Sdk-Request": "attempt=1;   max=3", "X-Amz-Meta-Umlaut": "ü",
	} {
		req.Header.Set(name, v)
	}
	req.Header["X-Amz-Two"] = []string{" a ", "b"}
	sum := sha256.Sum256(body)
	now := at(t, "20260102T030405Z")
	if err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: "4567", SecretAccessKey: "8901"}, req, hex.EncodeToString(sum[:]), "monitoring", "eu-1", now); err != nil {
		t.Fatal(err)
	}
	var wire bytes.Buffer
	if err := req.Write(&wire); err != nil {
		t.Fatal(err)
	}
	s, err := ReadSignature(arrive(t, wire.String()))
	if err != nil {
		t.Fatal(err)
	}
	if c := (Checker{Secret: "8901"}); !c.Made(s) {
		t.Errorf("Made = false for %q", wire.String())
	}
	if !s.Time.Equal(now) {
		t.Errorf("Time = %v, want %v", s.Time, now)
	}
}

// Old clients sign the host without its port: boto before 2.9.3 in version 4,
// others in version 2.
func TestSignatureWithoutThePort(t *testing.T) {
	now := at(t, "20260102T030405Z")
	for name, sign := range map[string]func(*http.Request){
		"version 2": func(r *http.Request) { SignV2(r, testKeys, now) },
		"version 4": func(r *http.Request) {
			if err := SignV4(t.Context(), r, nil, testKeys, "", CloudWatch, now); err != nil {
				t.Fatal(err)
			}
		},
	} {
		req := request(t, "GET", "http://h/v1/?Action=ListMetrics", "")
		sign(req)
		c := Checker{Secret: testKeys.SecretKey}
		for host, want := range map[string]bool{"h": true, "h:8003": true, "other:8003": false, "other": false} {
			req.Host = host
			s, err := ReadSignature(req, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Made(s); got != want {
				t.Errorf("%s for h, sent to %s: Made = %v, want %v", name, host, got, want)
			}
		}
	}
}

func TestReadSignatureRefusals(t *testing.T) {
	good := signedRequests(t)
	form, get := good["v4 POST of a form"].raw, good["v4 GET"].raw
	v2 := good["v2 POST, parameters in its form"].raw
	change := func(in, old, new string) string {
		if !strings.Contains(in, old) {
			t.Fatalf("no %q in the request", old)
		}
		return strings.Replace(in, old, new, 1)
	}
	for name, tt := range map[string]struct{ raw, code, says string }{
		"no signature":              {raw("GET", "/v1/?Action=ListMetrics", "", "Host: h"), IncompleteSignature, "not signed"},
		"no signature on a form":    {raw("POST", "/v1/", pushBody, "Host: h", "Content-Type: "+pushForm), IncompleteSignature, "not signed"},
		"no signature on CBOR":      {raw("POST", "/v1/", "\xa0", "Host: h", "Content-Type: application/cbor"), IncompleteSignature, "not signed"},
		"no access key, version 4":  {change(form, "4567/", "/"), MissingAuthenticationToken, "no access key"},
		"no access key, version 2":  {change(good["v2 GET without time and method"].raw, "AWSAccessKeyId=4567&", ""), MissingAuthenticationToken, "no access key"},
		"presigned":                 {raw("GET", "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00", "", "Host: h"), IncompleteSignature, "presigned"},
		"no date":                   {change(form, "X-Amz-Date", "X-Other"), IncompleteSignature, "X-Amz-Date"},
		"a date of another day":     {change(form, "20240102T", "20240103T"), IncompleteSignature, "of the day"},
		"a scope cut short":         {change(form, "/aws4_request", ""), IncompleteSignature, "KEY/DATE/REGION/SERVICE"},
		"a short signature":         {change(form, "Signature=ab", "Signature="), IncompleteSignature, "64 hexadecimal"},
		"no digits":                 {change(form, "Signature=ab", "Signature=xy"), IncompleteSignature, "64 hexadecimal"},
		"two signatures":            {change(form, ", Signature", ", Signature=00, Signature"), IncompleteSignature, "Authorization"},
		"an unknown part":           {change(form, "Credential", "Password"), IncompleteSignature, "Authorization"},
		"host not signed":           {change(form, "content-type;host", "content-type"), IncompleteSignature, "lacks host"},
		"target not signed":         {change(form, "Host:", "X-Amz-Target: x\r\nHost:"), IncompleteSignature, "lacks x-amz-target"},
		"POST with a query":         {change(form, "/v1/", "/v1/?Action=ListMetrics"), IncompleteSignature, "in its body"},
		"a parameter twice":         {change(get, "?Action", "?Version=1&Action"), IncompleteSignature, `given twice: "Version"`},
		"both versions":             {change(get, "?Action", "?SignatureVersion=2&Action"), IncompleteSignature, "signed twice"},
		"bad escape":                {change(get, "?Action", "?%zz=1&Action"), IncompleteSignature, "percent-encoded"},
		"version 1":                 {change(v2, "SignatureVersion=2", "SignatureVersion=1"), IncompleteSignature, "SignatureVersion"},
		"SHA1":                      {change(v2, "HmacSHA256", "HmacSHA1"), IncompleteSignature, "SignatureMethod"},
		"no base64":                 {change(v2, "Signature=JW", "Signature=%21%21"), IncompleteSignature, "base64"},
		"no time":                   {change(v2, "2012-11-29T13%3A49%3A37Z", "yesterday+at+ten+%20%20%20"), IncompleteSignature, "Timestamp"},
		"in query and form":         {change(v2, "signal_handler ", "signal_handler?Timestamp=x "), IncompleteSignature, "given twice"},
		"version 2 and a JSON body": {change(v2, pushForm, "application/x-amz-json-1.0"), IncompleteSignature, "does not cover"},
	} {
		r, body := arrive(t, tt.raw)
		_, err := ReadSignature(r, body)
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Code != tt.code || !strings.Contains(e.Message, tt.says) {
			t.Errorf("%s: ReadSignature = %v, want %s and %q", name, err, tt.code, tt.says)
			continue
		}
		if want := map[string]int{IncompleteSignature: 400, MissingAuthenticationToken: 403}[tt.code]; e.Status != want {
			t.Errorf("%s: status %d, want %d", name, e.Status, want)
		}
	}
	r, _ := arrive(t, get)
	r.Host = ""
	if _, err := ReadSignature(r, nil); err == nil {
		t.Error("a request without a host: no error")
	}
}

func TestParseTimestamp(t *testing.T) {
	want := time.Date(2012, 11, 29, 13, 49, 37, 0, time.UTC)
	for _, text := range []string{"2012-11-29T13:49:37Z", "2012-11-29T13:49:37", "2012-11-29T13:49:37.000Z", "2012-11-29T15:49:37+02:00"} {
		if got, err := parseTimestamp(text); err != nil || !got.Equal(want) {
			t.Errorf("parseTimestamp(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
}

// The day's key is derived once, and anew for another scope.
func TestCheckerDerivesForEachScope(t *testing.T) {
	c := Checker{Secret: testKeys.SecretKey}
	for _, now := range []string{"20260102T030405Z", "20260103T030405Z", "20260102T030406Z"} {
		for _, region := range []string{"a", "b", "a"} {
			req := request(t, "GET", "http://h/v1/?Action=ListMetrics", "")
			if err := SignV4(t.Context(), req, nil, testKeys, region, CloudWatch, at(t, now)); err != nil {
				t.Fatal(err)
			}
			s, err := ReadSignature(req, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !c.Made(s) {
				t.Errorf("%s %s: Made = false", now, region)
			}
		}
	}
}

// Whatever comes in, reading it is an *Error or a signature; and what verifies
// verifies for who has the secret alone.
func FuzzReadSignature(f *testing.F) {
	for _, tt := range signedRequests(f) {
		r, body := arrive(f, tt.raw)
		f.Add(r.Method, r.RequestURI, r.Header.Get("Authorization"), r.Header.Get("X-Amz-Date"), r.Header.Get("Content-Type"), body)
	}
	f.Add("GET", "http://h?Signature=%", "AWS4-HMAC-SHA256 Credential=/////,SignedHeaders=;;host;,Signature==", "20240102T030405Z", "", []byte("&&=&"))
	f.Fuzz(func(t *testing.T, method, uri, auth, date, kind string, body []byte) {
		u, err := url.ParseRequestURI(uri)
		if err != nil {
			t.Skip()
		}
		r := &http.Request{Method: method, URL: u, RequestURI: uri, Host: "h:1", Header: http.Header{"Authorization": {auth}, "X-Amz-Date": {date}, "Content-Type": {kind}}}
		s, err := ReadSignature(r, body)
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Status/100 != 4 || e.Code == "" || strings.ContainsAny(e.Message, "\r\n") {
				t.Errorf("ReadSignature = %#v, want a refusal in one line", err)
			}
			return
		}
		if s.Access == "" || s.Text == "" || s.Version == 4 && s.Time.IsZero() {
			t.Errorf("ReadSignature = %+v, want a whole signature", s)
		}
		if (&Checker{Secret: "not the secret"}).Made(s) {
			t.Errorf("a made-up signature verifies")
		}
	})
}

func BenchmarkVerifyV4(b *testing.B) { benchmarkVerify(b, "v4 POST of a form") }
func BenchmarkVerifyV2(b *testing.B) { benchmarkVerify(b, "v2 POST, parameters in its form") }

func benchmarkVerify(b *testing.B, name string) {
	tt := signedRequests(b)[name]
	r, body := arrive(b, tt.raw)
	c := Checker{Secret: Secret(tt.secret)}
	b.ReportAllocs()
	for b.Loop() {
		s, err := ReadSignature(r, body)
		if err != nil || !c.Made(s) {
			b.Fatal(err)
		}
	}
}

// A time that is read is one of those forms, to the nanosecond.
func FuzzParseTimestamp(f *testing.F) {
	for _, text := range []string{"2012-11-29T13:49:37Z", "2012-11-29T13:49:37.5+02:00", "2012-11-29T13:49:37"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		read, err := parseTimestamp(text)
		if err != nil {
			return
		}
		again, err := parseTimestamp(read.UTC().Format(time.RFC3339Nano))
		if err != nil || !again.Equal(read) {
			t.Errorf("parseTimestamp(%q) = %v, and of that %v, %v", text, read, again, err)
		}
	})
}
