package awsquery

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Codes of a request whose signature cannot even be looked at.
const (
	IncompleteSignature        = "IncompleteSignature"
	MissingAuthenticationToken = "MissingAuthenticationToken"
)

// A Signature is what a signed request says about who signed it and when. It
// refers to the request, which must not change while it is in use.
type Signature struct {
	Version int       // 2 or 4
	Access  string    // id of the access key
	Time    time.Time // of signing; zero: version 2 without a Timestamp
	Value   [sha256.Size]byte
	Text    string // Value as it was sent
	Path    string // of the request as it came, which is what is signed

	// Params are the parameters that are signed, by name and without
	// Signature: of query and form in version 2, of the query in version 4.
	Params map[string]string

	scope   string // version 4: DATE/REGION/SERVICE/aws4_request
	stamp   string // version 4: X-Amz-Date
	headers string // version 4: SignedHeaders
	req     *http.Request
	body    []byte
}

const notHex = "the Signature is not 64 hexadecimal digits"

// algorithm of version 4, with which its Authorization header begins.
const algorithm = "AWS4-HMAC-SHA256"

// ReadSignature reads the signature of a request that a server got: version 4
// from the header Authorization, version 2 from query and form. body is the
// whole body as it came. Refused, as an *Error with one of the codes above,
// is also what a signature would not cover although the request would be read
// with it: a parameter given twice or in the URL of a POST, a body that is no
// form in version 2, a protocol that an unsigned header asks for.
//
// A presigned URL of version 4 is refused: Keystone verifies none.
func ReadSignature(r *http.Request, body []byte) (*Signature, error) {
	s := &Signature{req: r, body: body, Path: receivedPath(r)}
	var err error
	if auth := r.Header.Get("Authorization"); strings.HasPrefix(auth, algorithm) {
		err = s.readV4(auth)
	} else {
		err = s.readV2()
	}
	if err != nil {
		return nil, err
	}
	if r.Host == "" {
		return nil, incomplete("the request names no host")
	}
	return s, nil
}

// receivedPath is the path of a request as it came, not decoded.
func receivedPath(r *http.Request) string {
	path := r.RequestURI
	if !strings.HasPrefix(path, "/") { // as a proxy is asked, or made by a test
		path = r.URL.EscapedPath()
	}
	path, _, _ = strings.Cut(path, "?")
	if path == "" {
		return "/"
	}
	return path
}

func incomplete(what string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: IncompleteSignature, Message: what}
}

func (s *Signature) readV4(auth string) error {
	var credential, value string
	for part := range strings.SplitSeq(auth[len(algorithm):], ",") {
		name, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case name == "Credential" && credential == "":
			credential = v
		case name == "SignedHeaders" && s.headers == "":
			s.headers = v
		case name == "Signature" && value == "":
			value = v
		default:
			return incomplete("the Authorization header is not " + algorithm + " Credential=.., SignedHeaders=.., Signature=..")
		}
	}
	s.Version, s.Text = 4, value
	s.Access, s.scope, _ = strings.Cut(credential, "/")
	if s.Access == "" {
		return missingToken()
	}
	if len(value) != hex.EncodedLen(len(s.Value)) {
		return incomplete(notHex)
	}
	if _, err := hex.Decode(s.Value[:], []byte(value)); err != nil {
		return incomplete(notHex)
	}
	var err error
	s.stamp = s.req.Header.Get("X-Amz-Date")
	if s.Time, err = parseStamp(s.stamp); err != nil {
		return incomplete("X-Amz-Date is not a time such as 20060102T150405Z")
	}
	if strings.Count(s.scope, "/") != 3 || !strings.HasSuffix(s.scope, "/aws4_request") || s.scope[:strings.IndexByte(s.scope, '/')] != s.stamp[:8] {
		return incomplete("the Credential is not KEY/DATE/REGION/SERVICE/aws4_request of the day of X-Amz-Date")
	}
	if err := s.covers(); err != nil {
		return err
	}
	return s.readQuery()
}

// covers refuses headers that choose what is asked for and are not signed, and
// what is not as the rules of version 4 have it: names in lower case and in
// order. One that came again and again would make gigabytes of a small request
// before anything is known of who sent it.
func (s *Signature) covers() error {
	before := ""
	for name := range strings.SplitSeq(s.headers, ";") {
		if name <= before || strings.ToLower(name) != name {
			return incomplete("SignedHeaders are not names in lower case, each once and in their order")
		}
		before = name
	}
	switch {
	case !s.signs("host"):
		return incomplete("SignedHeaders lacks host")
	case s.req.Header.Get("X-Amz-Target") != "" && !s.signs("x-amz-target"):
		return incomplete("SignedHeaders lacks x-amz-target")
	}
	return nil
}

func (s *Signature) signs(header string) bool {
	for name := range strings.SplitSeq(s.headers, ";") {
		if name == header {
			return true
		}
	}
	return false
}

// readQuery takes the query of version 4. Keystone signs none of a POST, and
// a signature that its URL carries is not one of version 4.
func (s *Signature) readQuery() error {
	query := s.req.URL.RawQuery
	if query == "" {
		return nil
	}
	if s.req.Method == http.MethodPost {
		return incomplete("a POST has its parameters in its body, not in its URL")
	}
	s.Params = map[string]string{}
	if err := decode(s.Params, query); err != nil {
		return err
	}
	for _, name := range []string{"Signature", "SignatureVersion", "X-Amz-Signature", "X-Amz-Algorithm"} {
		if _, ok := s.Params[name]; ok {
			return incomplete("signed twice: by the header Authorization and by the parameter " + name)
		}
	}
	return nil
}

// maxParams is above what any form of a megabyte needs. Each costs many times
// its own length, before anything is known of who sent it.
const maxParams = 50_000

func (s *Signature) readV2() error {
	if strings.Count(s.req.URL.RawQuery, "&")+bytes.Count(s.body, []byte("&")) >= maxParams {
		return incomplete("the request has more than " + strconv.Itoa(maxParams) + " parameters")
	}
	s.Params = map[string]string{}
	if err := decode(s.Params, s.req.URL.RawQuery); err != nil {
		return err
	}
	if len(s.body) > 0 {
		kind, _, _ := strings.Cut(s.req.Header.Get("Content-Type"), ";")
		if !strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") || s.req.Header.Get("Content-Encoding") != "" {
			return incomplete("not signed, or with signature version 2 and a body that is no plain form, which it does not cover: sign with version 4")
		}
		if err := decode(s.Params, string(s.body)); err != nil {
			return err
		}
	}
	switch p := s.Params; {
	case p["X-Amz-Signature"] != "" || p["X-Amz-Algorithm"] != "":
		return incomplete("a presigned URL of version 4 is not supported: sign with the header Authorization")
	case p["Signature"] == "":
		return incomplete("the request is not signed")
	case p["AWSAccessKeyId"] == "":
		return missingToken()
	case p["SignatureVersion"] != "2":
		return incomplete("SignatureVersion is not 2")
	case p["SignatureMethod"] != "" && p["SignatureMethod"] != "HmacSHA256":
		return incomplete("SignatureMethod is not HmacSHA256")
	case s.req.Header.Get("X-Amz-Target") != "" || s.req.Header.Get("Smithy-Protocol") != "":
		return incomplete("signature version 2 covers the Query protocol alone: sign with version 4")
	}
	s.Version, s.Access, s.Text = 2, s.Params["AWSAccessKeyId"], s.Params["Signature"]
	delete(s.Params, "Signature")
	value, err := base64.StdEncoding.DecodeString(s.Text)
	if err != nil || len(value) != len(s.Value) {
		return incomplete("the Signature is not 32 bytes in base64")
	}
	copy(s.Value[:], value)
	if text, ok := s.Params["Timestamp"]; ok {
		if s.Time, err = parseTimestamp(text); err != nil {
			return incomplete("the Timestamp is not a time such as 2006-01-02T15:04:05Z")
		}
	}
	return nil
}

func missingToken() *Error {
	return &Error{Status: http.StatusForbidden, Code: MissingAuthenticationToken, Message: "the signature names no access key"}
}

// parseStamp reads an X-Amz-Date, which is of the one form 20060102T150405Z. As
// RFC 3339 it is read in half the time.
func parseStamp(t string) (time.Time, error) {
	if len(t) != len("20060102T150405Z") {
		return time.Time{}, errors.New("it is too short, or too long")
	}
	b := make([]byte, 0, len(time.RFC3339))
	b = append(append(append(append(b, t[:4]...), '-'), t[4:6]...), '-')
	b = append(append(append(append(b, t[6:11]...), ':'), t[11:13]...), ':')
	return time.Parse(time.RFC3339, string(append(b, t[13:]...)))
}

// parseTimestamp reads the Timestamp of version 2: ISO 8601, in UTC where it
// names no zone.
func parseTimestamp(text string) (time.Time, error) {
	if t, err := time.Parse("2006-01-02T15:04:05", text); err == nil {
		return t, nil
	}
	return time.Parse(time.RFC3339, text)
}

// decode adds the parameters of a query or form to params. A name that comes
// twice is refused: Keystone signs one of the values, and who reads the
// request may take another.
func decode(params map[string]string, text string) error {
	for pair := range strings.SplitSeq(text, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err == nil {
			value, err = url.QueryUnescape(value)
		}
		if err != nil {
			return incomplete("the parameters are not percent-encoded")
		}
		if _, ok := params[name]; ok {
			return incomplete("a parameter is given twice: " + strconv.Quote(clean(name, 50)))
		}
		params[name] = value
	}
	return nil
}

// A Checker tells whether signatures were made with one secret key. It keeps
// what version 4 derives of the secret for a day, region and service, which is
// a third of the work of a small request. It may be used by many at once.
type Checker struct {
	Secret  Secret
	derived atomic.Pointer[derivedKey]
}

type derivedKey struct {
	scope string
	key   []byte
}

// Made says whether s was made with the secret. Comparisons take the same time
// whatever differs. Where the host has a port it may have been left out of
// what was signed, as some clients do and Keystone allows, or be in capitals.
func (c *Checker) Made(s *Signature) bool {
	host := strings.ToLower(s.req.Host)
	if c.made(s, host) {
		return true
	}
	u := url.URL{Host: host}
	return u.Port() != "" && c.made(s, u.Hostname()) || host != s.req.Host && c.made(s, s.req.Host)
}

func (c *Checker) made(s *Signature, host string) bool {
	if s.Version == 2 {
		mac := hmac.New(sha256.New, []byte(c.Secret))
		mac.Write([]byte(s.textV2(host)))
		return hmac.Equal(mac.Sum(nil), s.Value[:])
	}
	var buf [1 << 10]byte
	mac := code(c.key(s.scope), s.appendTextV4(buf[:sha256.BlockSize], host))
	return hmac.Equal(mac[:], s.Value[:])
}

// code is the HMAC-SHA256 of RFC 2104 of what follows a free block in text, with
// a key no longer than a block. That of crypto/hmac allocates a state that can
// be used again, and here that is a third of its cost.
func code(key, text []byte) [sha256.Size]byte {
	pad := func(block []byte, with byte) {
		for i := range block {
			block[i] = with
		}
		subtle.XORBytes(block, block, key)
	}
	pad(text[:sha256.BlockSize], 0x36)
	inner := sha256.Sum256(text)
	var outer [sha256.BlockSize + sha256.Size]byte
	pad(outer[:sha256.BlockSize], 0x5c)
	copy(outer[sha256.BlockSize:], inner[:])
	return sha256.Sum256(outer[:])
}

// key is the signing key of version 4 for a scope.
func (c *Checker) key(scope string) []byte {
	if d := c.derived.Load(); d != nil && d.scope == scope {
		return d.key
	}
	key := []byte("AWS4" + c.Secret)
	for part := range strings.SplitSeq(scope, "/") {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	c.derived.Store(&derivedKey{strings.Clone(scope), key})
	return key
}

func (s *Signature) textV2(host string) string {
	return strings.Join([]string{s.req.Method, host, s.Path, s.canonicalQuery()}, "\n")
}

func (s *Signature) canonicalQuery() string {
	if len(s.Params) == 0 {
		return ""
	}
	values := make(url.Values, len(s.Params)+1)
	for name, v := range s.Params {
		values[name] = []string{v}
	}
	if s.Version == 2 && s.Params["SignatureMethod"] == "" {
		values.Set("SignatureMethod", "HmacSHA256")
	}
	return Encode(values)
}

// appendTextV4 writes the string to sign of version 4.
func (s *Signature) appendTextV4(b []byte, host string) []byte {
	begin := len(b)
	b = append(b, s.req.Method...)
	b = append(append(b, '\n'), s.Path...)
	b = append(append(b, '\n'), s.canonicalQuery()...)
	b = append(b, '\n')
	for name := range strings.SplitSeq(s.headers, ";") {
		b = append(append(b, name...), ':')
		b = append(s.appendHeader(b, name, host), '\n')
	}
	b = append(append(b, '\n'), s.headers...)
	b = append(b, '\n')
	sum := sha256.Sum256(s.body)
	b = hex.AppendEncode(b, sum[:])
	sum = sha256.Sum256(b[begin:])
	b = append(b[:begin], algorithm...)
	b = append(append(b, '\n'), s.stamp...)
	b = append(append(b, '\n'), s.scope...)
	b = append(b, '\n')
	return hex.AppendEncode(b, sum[:])
}

// appendHeader writes a header's values: trimmed, runs of spaces made one,
// joined by commas.
func (s *Signature) appendHeader(b []byte, name, host string) []byte {
	if name == "host" {
		return append(b, host...)
	}
	values := s.req.Header[textproto.CanonicalMIMEHeaderKey(name)]
	if name == "content-length" && len(values) == 0 {
		return strconv.AppendInt(b, int64(len(s.body)), 10)
	}
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		v = strings.TrimSpace(v)
		for i := range len(v) {
			if v[i] != ' ' || v[i-1] != ' ' {
				b = append(b, v[i])
			}
		}
	}
	return b
}
