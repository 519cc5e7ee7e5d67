package api

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"sync"

	"github.com/cfn-agent/cfn-agent/watch/auth"
)

// Limits of a body, in bytes.
const (
	maxBody  = 1 << 20 // as it comes
	maxPlain = 8 << 20 // decompressed
	room     = 8 << 10 // for what is only announced: more comes with the bytes
)

// maxBodies is how many bodies larger than room are read at once. Anybody can send
// them, as slowly as a request may be; heartbeats are smaller.
const maxBodies = 64

// bodyOf reads a request's body, a large one in its turn.
func (h *Handler) bodyOf(w http.ResponseWriter, c *call) ([]byte, error) {
	if n := c.ContentLength; n >= 0 && n <= room || n > maxBody {
		return readBody(w, c.Request)
	}
	from, _ := netip.ParseAddrPort(c.RemoteAddr)
	place, _ := h.bodies.enter(auth.Origin(from).String())
	if place == nil {
		_, unread := c.protocol.(*queryProtocol) // what it asks for is in the body
		if named := credential.FindStringSubmatch(c.Header.Get("Authorization")); named != nil && (unread || c.mayPush()) {
			h.engine.SignOfLife(c.arrived, named[1])
		}
		return nil, overloaded()
	}
	defer h.bodies.leave(place)
	return readBody(w, c.Request)
}

// credential names the access key of a signature of version 4, which nobody has
// verified.
var credential = regexp.MustCompile(`Credential=([^/,\s]{1,128})/`)

// readBody reads a request's body as it comes, which is what is signed.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, tooLarge(maxBody, "")
	}
	if n := r.ContentLength; n >= 0 && n <= room {
		b := make([]byte, n)
		if _, err := io.ReadFull(r.Body, b); err != nil {
			return nil, late()
		}
		return b, nil
	}
	var b bytes.Buffer
	b.Grow(room)
	_, err := b.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge(maxBody, "")
	}
	if err != nil {
		return nil, late()
	}
	return b.Bytes(), nil
}

func late() *Error {
	return &Error{Status: 408, Code: "RequestTimeout", Message: "the body did not come whole and in time"}
}

func tooLarge(limit int, what string) *Error {
	return &Error{Status: 413, Code: "RequestEntityTooLarge", Message: fmt.Sprintf("the body is larger than %d bytes%s", limit, what)}
}

// readers are kept: each holds some 40 KB.
var readers sync.Pool

// plain is a body without the encoding that its request names.
func plain(r *http.Request, body []byte) ([]byte, error) {
	switch encoding := strings.ToLower(r.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
		return body, nil
	case "gzip":
	default:
		return nil, &Error{Status: 415, Code: "UnsupportedMediaType", Message: "the only Content-Encoding taken is gzip"}
	}
	z, _ := readers.Get().(*gzip.Reader)
	if z == nil {
		z = new(gzip.Reader)
	}
	defer readers.Put(z)
	if err := z.Reset(bytes.NewReader(body)); err != nil {
		return nil, malformed("the body is not gzip")
	}
	text, err := io.ReadAll(io.LimitReader(z, maxPlain+1))
	if err != nil {
		return nil, malformed("the body is not gzip")
	}
	if len(text) > maxPlain {
		return nil, tooLarge(maxPlain, " once decompressed")
	}
	return text, nil
}
