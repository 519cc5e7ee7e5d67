package awsquery

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// An Error is a refusal by the server: its HTTP status, and what its error
// document says. Code may be empty, as where a proxy answered.
type Error struct {
	Status     int
	Code       string
	Message    string        // one line, at most 500 bytes
	RetryAfter time.Duration // what the header of that name asks; 0 without
}

// Error is the status, the code and the server's words in one line.
func (e *Error) Error() string {
	code := e.Code
	if code == "" {
		code = http.StatusText(e.Status)
	}
	s := strings.TrimRight(fmt.Sprintf("HTTP %d %s", e.Status, code), " ")
	if e.Message == "" {
		return s
	}
	return s + ": " + e.Message
}

// ParseError reads an error document: the XML and both JSON forms of the
// Query protocol, the JSON of OpenStack's own APIs, a bare JSON string, or
// whatever text there is. The message is cleaned of the Python traceback that
// Heat may append, of line ends and of anything that looks like a signature.
func ParseError(status int, body []byte) *Error {
	body = bytes.TrimSpace(body)
	e := &Error{Status: status}
	switch {
	case len(body) == 0:
	case body[0] == '<':
		e.fromXML(body)
	case body[0] == '{' && json.Valid(body):
		e.fromJSON(body)
	case body[0] == '"' && json.Unmarshal(body, &e.Message) == nil:
	default:
		e.Message = string(body)
	}
	e.Code = clean(e.Code, 100)
	e.Message = clean(e.Message, 500)
	return e
}

func (e *Error) fromXML(body []byte) {
	var doc struct {
		XMLName xml.Name `xml:"ErrorResponse"`
		Code    string   `xml:"Error>Code"`
		Message string   `xml:"Error>Message"`
	}
	if err := xml.Unmarshal(body, &doc); err == nil {
		e.Code, e.Message = doc.Code, doc.Message
		return
	}
	// Most likely a proxy's page: its title says what it is about.
	e.Message = "not an error document of this API"
	text := strings.ToValidUTF8(string(body), "")
	if _, rest, ok := strings.Cut(text, "<title>"); ok {
		title, _, _ := strings.Cut(rest, "<")
		e.Message = "a page titled " + strconv.Quote(clean(title, 100))
	}
}

func (e *Error) fromJSON(body []byte) {
	type detail struct{ Type, Code, Message string }
	var doc struct {
		ErrorResponse struct{ Error detail }
		Error         detail // names match in any case: OpenStack's "error" too
		Explanation   string
	}
	// A field of another type is left empty, the others are still read.
	_ = json.Unmarshal(body, &doc)
	d := doc.ErrorResponse.Error
	if d == (detail{}) {
		d = doc.Error
	}
	e.Code, e.Message = d.Code, d.Message
	if e.Code == "" {
		e.Code = d.Type
	}
	if e.Message == "" {
		e.Message = doc.Explanation
	}
}

// clean makes one printable line of at most limit bytes.
func clean(s string, limit int) string {
	s, _, _ = strings.Cut(s, "Traceback (most recent call last)")
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
	s = Redact(strings.Join(strings.Fields(s), " "))
	if len(s) <= limit {
		return s
	}
	s = s[:limit-len("...")]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + "..."
}

// RetryAfter reads the header of that name, seconds or a date: how long to
// wait; 0 without.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.Atoi(v); err == nil && n > 0 {
		return time.Duration(min(n, 1<<20)) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(t.Sub(now), 0)
	}
	return 0
}
