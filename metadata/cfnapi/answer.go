package cfnapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
)

// fields are the names that both dialects and both forms share.
type fields struct {
	StackId            text
	ResourceType       text
	PhysicalResourceId text
	ResourceStatus     text

	LastUpdatedTimestamp text
	Metadata             text
}

// A text is the content of an element, or a JSON value: of a string its
// content, of null nothing, of anything else its JSON.
type text struct {
	s     string
	given bool // the answer has the element
}

// UnmarshalJSON takes any value.
func (t *text) UnmarshalJSON(data []byte) error {
	t.given, t.s = true, ""
	switch {
	case string(data) == "null":
		return nil
	case data[0] == '"':
		return json.Unmarshal(data, &t.s)
	}
	t.s = string(data)
	return nil
}

// value is the text without what Heat writes for Python's None.
func (t text) value() string {
	s := strings.TrimSpace(t.s)
	if s == "None" {
		return ""
	}
	return s
}

// parseDetail reads the body of a 200 answer. A body that is an error
// document gives an *awsquery.Error, since Heat sends some of its errors as
// 200 and a JSON string; one that is something else, awsquery.ErrBadAnswer.
func parseDetail(body []byte) (Detail, error) {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	if len(body) == 0 {
		return Detail{}, fmt.Errorf("%w: it is empty", awsquery.ErrBadAnswer)
	}
	var f *fields
	var err error
	switch body[0] {
	case '<':
		f, err = fromXML(body)
	case '{':
		f, err = fromJSON(body)
	}
	if err != nil {
		return Detail{}, fmt.Errorf("%w: %w", awsquery.ErrBadAnswer, err)
	}
	if f == nil {
		e := awsquery.ParseError(http.StatusOK, body[:min(len(body), awsquery.ErrorLimit)])
		if e.Code != "" || body[0] == '"' {
			return Detail{}, e
		}
		return Detail{}, fmt.Errorf("%w: it does not describe a resource: %s", awsquery.ErrBadAnswer, e.Message)
	}
	d := Detail{
		StackID:            f.StackId.value(),
		ResourceType:       f.ResourceType.value(),
		PhysicalResourceID: f.PhysicalResourceId.value(),
		Status:             f.ResourceStatus.value(),
		LastUpdated:        timestamp(f.LastUpdatedTimestamp.value()),
		Metadata:           []byte(f.Metadata.value()),
	}
	switch {
	case !f.Metadata.given:
		d.Metadata = nil
	case len(d.Metadata) == 0:
		d.Metadata = []byte("{}")
	}
	return d, nil
}

func fromJSON(body []byte) (*fields, error) {
	var doc struct {
		DescribeStackResourceResponse struct {
			DescribeStackResourceResult struct{ StackResourceDetail *fields }
		}
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("its JSON is cut or damaged after %d bytes: %w", len(body), err)
	}
	return doc.DescribeStackResourceResponse.DescribeStackResourceResult.StackResourceDetail, nil
}

// timestamp reads Heat's ISO 8601 and the epoch seconds of AWS.
func timestamp(s string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	var seconds float64
	if err := json.Unmarshal([]byte(s), &seconds); err == nil && seconds > 0 && seconds < 1e12 {
		return time.UnixMilli(int64(seconds * 1000)).UTC()
	}
	return time.Time{}
}
