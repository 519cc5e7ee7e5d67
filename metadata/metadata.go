// Package metadata is the metadata document of one Heat resource: what it
// says below AWS::CloudFormation::Init and AWS::CloudFormation::Authentication,
// checked and put in the order in which it is applied, and the copies of it
// that are kept on the guest.
//
// It parses and decides; it changes nothing but the cache. Fetching is the
// work of the packages below it, applying that of package agent.
//
// The format is the one of the AWS CloudFormation User Guide, "AWS::CloudFormation::Init"
// and "AWS::CloudFormation::Authentication", as OpenStack's heat-cfntools reads it.
package metadata

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Keys of the sections of a resource's metadata that this package reads.
const (
	InitKey           = "AWS::CloudFormation::Init"
	AuthenticationKey = "AWS::CloudFormation::Authentication"
)

// ErrNoInit says that a document has no AWS::CloudFormation::Init section, or
// an empty one: there is nothing to apply. An error that is ErrNoInit may have
// a text of its own, which says what the document looks like instead.
var ErrNoInit = errors.New("the metadata has no " + InitKey + " section: add one to the resource's Metadata in the template")

// A Fetcher gets the metadata of one resource from where it is kept.
type Fetcher interface {
	Fetch(ctx context.Context) (Document, error)
}

// A Document is the metadata of one resource, as it was fetched. The zero
// value has no content.
type Document struct {
	Origin string // where it came from, for people to read
	raw    json.RawMessage
}

// PathError tells where in the metadata something is wrong, or only odd.
type PathError struct {
	Path string // in the form config.files["/etc/motd"].mode
	Err  error
}

// Error is the path and what is wrong there, in one line.
func (e *PathError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns what is wrong at the path.
func (e *PathError) Unwrap() error { return e.Err }

// Warning is the Error of one of Init.Warnings, and what is made of it by who
// goes on: "config.fils: unknown key (did you mean files?): ignored".
func (e *PathError) Warning() string {
	if odd, ok := errors.AsType[*oddity](e.Err); ok {
		return e.Error() + ": " + odd.then
	}
	return e.Error()
}

// LeftOut says of one of Init.Warnings that something is left out for it,
// which whoever applies the config will say too.
func (e *PathError) LeftOut() bool {
	odd, ok := errors.AsType[*oddity](e.Err)
	return ok && strings.HasSuffix(odd.then, "left out")
}

// An oddity is odd, but no reason to stop.
type oddity struct{ what, then string }

func (o *oddity) Error() string { return o.what }

// Parse reads a document: one JSON object, in UTF-8. A JSON string is taken
// to hold the object, as AWS CloudFormation sends it. The error says at which
// line and column the text stops being JSON, and quotes nothing of it but
// punctuation.
func Parse(data []byte) (Document, error) {
	data = bytes.TrimPrefix(bytes.TrimSpace(data), []byte("\xef\xbb\xbf"))
	if len(data) == 0 {
		return Document{}, errors.New("the metadata is empty")
	}
	if data[0] == '"' {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return Document{}, syntaxError(data, err)
		}
		if data = bytes.TrimSpace([]byte(text)); len(data) == 0 {
			return Document{}, errors.New("the metadata is empty")
		}
	}
	if !json.Valid(data) {
		var v any
		return Document{}, syntaxError(data, json.Unmarshal(data, &v))
	}
	if data[0] != '{' {
		return Document{}, fmt.Errorf("the metadata is %s: it must be a JSON object", kindOf(data))
	}
	return Document{raw: data}, nil
}

// Bytes returns the JSON text of the document as it was fetched.
func (d Document) Bytes() []byte { return d.raw }

// Canonical returns the document as compact JSON with sorted keys, so that
// two documents that mean the same are the same bytes.
func (d Document) Canonical() []byte { return canonical(d.raw) }

func canonical(raw []byte) []byte {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return raw
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return raw
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
