package metadata

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// syntaxError says where a text stops being JSON, and why. Of the text it
// shows punctuation alone: the rest may be part of a secret.
func syntaxError(data []byte, err error) error {
	cut := err == nil || err.Error() == "unexpected end of JSON input"
	if data[0] == '<' {
		return errors.New("the metadata is XML or a web page: it must be a JSON object")
	}
	if !cut && data[0] != '{' && data[0] != '[' {
		return errors.New("the metadata is not JSON: is it YAML? convert it first")
	}
	offset := len(data)
	if se, ok := errors.AsType[*json.SyntaxError](err); ok {
		offset = min(int(se.Offset), offset)
	}
	before, why := data[:offset-1], "the text ends too early"
	if !cut {
		why = reason(before, data[offset-1])
	}
	line := 1 + bytes.Count(before, []byte("\n"))
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return fmt.Errorf("the metadata is not JSON: line %d, column %d: %s", line, column, why)
}

// maxNesting is how deep encoding/json goes.
const maxNesting = 10000

// A place is where in JSON a text has come to.
type place struct {
	within   string // the brackets that are open, { and [
	last     byte   // of the last token: punctuation, s for a string, v for another value, 0 for none
	key      bool   // that string is a key
	inString bool
}

// placeAfter reads JSON that is right as far as it goes.
func placeAfter(json []byte) place {
	var p place
	for i := 0; i < len(json); i++ {
		switch c := json[i]; c {
		case ' ', '\t', '\r', '\n':
		case '"':
			p.key = strings.HasSuffix(p.within, "{") && (p.last == '{' || p.last == ',')
			for i++; i < len(json) && json[i] != '"'; i++ {
				if json[i] == '\\' {
					i++
				}
			}
			p.last, p.inString = 's', i >= len(json)
		case '{', '[':
			p.within, p.last = p.within+string(c), c
		case '}', ']':
			p.within, p.last = p.within[:max(0, len(p.within)-1)], 'v'
		case ',', ':':
			p.last = c
		default:
			p.last = 'v'
		}
	}
	return p
}

// wants says what belongs in a place.
func (p place) wants() string {
	object := strings.HasSuffix(p.within, "{")
	switch {
	case object && p.last == '{':
		return `a name in double quotes or a }`
	case object && p.last == ',':
		return "a name in double quotes"
	case p.last == ':' || p.last == ',':
		return "a value"
	case p.last == '[':
		return "a value or a ]"
	case p.last == 's' && p.key:
		return "a colon"
	case p.within == "":
		return "nothing more"
	case object:
		return "a comma or }"
	}
	return "a comma or ]"
}

// reason says what is wrong with a character that cannot follow a text.
func reason(before []byte, c byte) string {
	p := placeAfter(before)
	switch {
	case p.inString && bytes.HasSuffix(before, []byte(`\`)):
		return `a backslash begins an escape here that JSON does not have: write \\ for a backslash`
	case p.inString && c == '\n':
		return `the line ends within a string: is the closing quote missing? a line end in a string is written \n`
	case p.inString && c < ' ':
		return `a control character within a string: a tab is written \t`
	case p.inString:
		return `an escape is not whole: \u takes four hexadecimal digits`
	case len(p.within) >= maxNesting:
		return "the brackets are nested too deep"
	case p.last == ',' && (c == '}' || c == ']'):
		return fmt.Sprintf("'%c' after a comma: take the comma away", c)
	case word(c) && len(before) > 0 && word(before[len(before)-1]):
		return "neither a number nor true, false or null: a text needs double quotes"
	}
	text := p.wants() + " belongs here"
	if strings.IndexByte("{}[]:,\"'#", c) >= 0 {
		text = fmt.Sprintf("'%c' where %s belongs", c, p.wants())
	}
	switch value := c == '"' || c == '{' || c == '[' || word(c); {
	case c == '\'':
		return text + ": JSON quotes with \""
	case value && strings.HasPrefix(p.wants(), "a comma"):
		return text + ": is a comma missing before it?"
	case word(c) && strings.HasPrefix(p.wants(), "a value"):
		return text + ": a text needs double quotes"
	}
	return text
}

// word says that a character is part of a number or a bare word.
func word(c byte) bool {
	return c >= 0x80 || unicode.IsLetter(rune(c)) || unicode.IsDigit(rune(c)) || strings.IndexByte("-+._", c) >= 0
}
