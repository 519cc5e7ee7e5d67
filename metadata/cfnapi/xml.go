package cfnapi

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
)

// maxDepth is how deep elements may nest: more than in any answer.
const maxDepth = 32

var errDeep = errors.New("its XML is nested too deep")

// detailPath leads to the element with the fields.
var detailPath = []string{"DescribeStackResourceResponse", "DescribeStackResourceResult", "StackResourceDetail"}

// fromXML returns nil for a document that describes nothing.
func fromXML(body []byte) (*fields, error) {
	r := xmlReader{Decoder: xml.NewDecoder(bytes.NewReader(body))}
	err := r.read()
	switch {
	case r.root != detailPath[0]:
		return nil, nil // a page, or an error document
	case errors.Is(err, errDeep):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("its XML is cut or damaged after %d bytes: %w", len(body), err)
	}
	return r.detail, nil
}

// An xmlReader takes one token at a time and keeps the fields alone: a tree
// of the whole document would cost many times its size.
type xmlReader struct {
	*xml.Decoder
	root   string
	path   []string // the names of the open elements
	detail *fields  // nil until its element begins
	into   *text    // of the field that is open
	text   strings.Builder
}

// read reads to the end of the root element.
func (r *xmlReader) read() error {
	for {
		token, err := r.Token()
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if len(r.path) == maxDepth {
				return errDeep
			}
			r.path = append(r.path, t.Name.Local)
			r.begin()
		case xml.CharData:
			if r.into != nil && len(r.path) == len(detailPath)+1 {
				r.text.Write(t)
			}
		case xml.EndElement:
			if r.into != nil && len(r.path) == len(detailPath)+1 {
				*r.into = text{r.text.String(), true}
				r.into = nil
			}
			if r.path = r.path[:len(r.path)-1]; len(r.path) == 0 {
				return nil
			}
		}
	}
}

// begin is called at the begin of an element.
func (r *xmlReader) begin() {
	if len(r.path) == 1 {
		r.root = r.path[0]
	}
	for i, name := range detailPath {
		if i >= len(r.path) || r.path[i] != name {
			return
		}
	}
	if r.detail == nil {
		r.detail = &fields{}
	}
	if len(r.path) == len(detailPath)+1 {
		r.into = r.detail.field(r.path[len(detailPath)])
		r.text.Reset()
	}
}

// field returns the field of an element, nil when there is none.
func (f *fields) field(name string) *text {
	switch name {
	case "StackId":
		return &f.StackId
	case "ResourceType":
		return &f.ResourceType
	case "PhysicalResourceId":
		return &f.PhysicalResourceId
	case "ResourceStatus":
		return &f.ResourceStatus
	case "LastUpdatedTimestamp":
		return &f.LastUpdatedTimestamp
	case "Metadata":
		return &f.Metadata
	}
	return nil
}
