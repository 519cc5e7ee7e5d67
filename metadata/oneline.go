package metadata

import (
	"bytes"
	"encoding/json"
)

// OneLine writes a JSON value as Python's json.dumps does, and so
// heat-cfntools: on one line, a space after each comma and colon, in document
// order, non-ASCII characters escaped.
func OneLine(value json.RawMessage) []byte {
	var compact bytes.Buffer
	if err := json.Compact(&compact, value); err != nil {
		return value
	}
	var b bytes.Buffer
	quoted, escaped := false, false
	for _, c := range compact.Bytes() {
		b.WriteByte(c)
		switch {
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == ':'):
			b.WriteByte(' ')
		}
	}
	return escapeNonASCII(b.String())
}
