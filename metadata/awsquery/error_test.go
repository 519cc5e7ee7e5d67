package awsquery

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"
)

// recorded reads an answer of testdata.
func recorded(t testing.TB, name string) (*http.Response, []byte) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name + ".response.http")
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(data)), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}

func TestParseErrorOfHeat(t *testing.T) {
	for name, want := range map[string]Error{
		"error-bad-signature-xml":      {403, "AccessDenied", "User is not authorized to perform action", 0},
		"error-forbidden-resource-xml": {403, "AccessDenied", "User is not authorized to perform action:You are not authorized to use this action.", 0},
		"error-forbidden-resource":     {200, "", "You are not authorized to use this action.", 0},
		"error-unknown-stack-xml":      {400, "InvalidParameterValue", "A bad or out-of-range value was supplied:The Stack (nosuch) could not be found.", 0},
		"error-unknown-stack":          {200, "", "The Stack (nosuch) could not be found.", 0},
		"error-no-signature":           {400, "IncompleteSignature", "The request signature does not conform to AWS standards", 0},
		"error-unknown-action":         {400, "InvalidAction", "The action or operation requested is invalid", 0},
		"describe-v4-nopath-slash":     {404, "", "404 Not Found The resource could not be found.", 0},
		"wait-put-bad-status":          {500, "InternalFailure", "The request processing has failed due to an internal error", 0},
		"wait-put-empty":               {500, "", "", 0},
	} {
		resp, body := recorded(t, name)
		if got := ParseError(resp.StatusCode, body); *got != want {
			t.Errorf("ParseError(%s) = %+v, want %+v", name, *got, want)
		}
	}
}

func TestParseErrorForms(t *testing.T) {
	tests := map[string]struct {
		body string
		want string
	}{
		"AWS XML with namespace": {`<ErrorResponse xmlns="http://x/"><Error><Type>Sender</Type><Code>C</Code><Message>a &amp; b</Message></Error><RequestId>1</RequestId></ErrorResponse>`, "HTTP 400 C: a & b"},
		"Heat JSON":              {`{"ErrorResponse":{"Error":{"Type":"Sender","Code":"C","Message":"m"}}}`, "HTTP 400 C: m"},
		"AWS JSON":               {`{"Error":{"Type":"Sender","Code":"C","Message":"m"},"RequestId":"1"}`, "HTTP 400 C: m"},
		"Heat's own API":         {`{"code":404,"title":"Not Found","explanation":"e","error":{"type":"EntityNotFound","message":"m","traceback":null}}`, "HTTP 400 EntityNotFound: m"},
		"Keystone":               {`{"error":{"code":401,"message":"m","title":"Unauthorized"}}`, "HTTP 400 Bad Request: m"},
		"empty":                  {"", "HTTP 400 Bad Request"},
		"a proxy's page":         {"<html><head><title>502 Bad\nGateway</title></head>", `HTTP 400 Bad Request: a page titled "502 Bad Gateway"`},
		"other markup":           {"<p>no", "HTTP 400 Bad Request: not an error document of this API"},
		"cut XML":                {"<ErrorResponse><Error><Code>C</Code>", "HTTP 400 Bad Request: not an error document of this API"},
		"a signature echoed":     {"no route for /v1/x?Signature=abc%3D&b=1", "HTTP 400 Bad Request: no route for /v1/x?Signature=[cut]&b=1"},
		"control characters":     {"a\x1b[31mb\x00c\r\nd", "HTTP 400 Bad Request: a[31mbc d"},
	}
	for name, tt := range tests {
		if got := ParseError(400, []byte(tt.body)).Error(); got != tt.want {
			t.Errorf("%s: ParseError = %q, want %q", name, got, tt.want)
		}
	}
	if got := len(ParseError(400, []byte(strings.Repeat("é", 600))).Message); got > 500 {
		t.Errorf("message of %d bytes, want at most 500", got)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-7": 0, "soon": 0,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute,
		"Fri, 02 Jan 2026 03:03:05 GMT": 0,
	} {
		if got := RetryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("RetryAfter(%q) = %v, want %v", value, got, want)
		}
	}
}

func TestRedact(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := Redact(in); got != want {
			t.Errorf("Redact(%q) = %q, want %q", in, got, want)
		}
	}
	f("http://h/v1/?Signature=Y2tw%2BZ%3D&SignatureVersion=2", "http://h/v1/?Signature=[cut]&SignatureVersion=2")
	f("a=1&X-Amz-Signature=00ff", "a=1&X-Amz-Signature=[cut]")
	f("Credential=a/b, SignedHeaders=host, Signature=00ff", "Credential=a/b, SignedHeaders=host, Signature=[cut]")
	f("?temp_url_sig=00ff&temp_url_expires=1", "?temp_url_sig=[cut]&temp_url_expires=1")
	f("no signature here", "no signature here")
}

func FuzzParseError(f *testing.F) {
	for _, name := range []string{"error-forbidden-resource", "error-unknown-stack-xml", "describe-v4-nopath-slash"} {
		_, body := recorded(f, name)
		f.Add(body)
	}
	f.Add([]byte(`{"ErrorResponse":{"Error":{"Code":"C","Message":"Signature=x"}}}`))
	f.Add([]byte(`{"Error":[1],"error":{"type":2},"explanation":"e"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e := ParseError(500, body)
		text := e.Error()
		if len(e.Message) > 500 || len(e.Code) > 100 {
			t.Errorf("ParseError gives %d and %d bytes, want at most 500 and 100", len(e.Message), len(e.Code))
		}
		if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("ParseError = %q, not one printable line", text)
		}
	})
}
