package metadata

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/nearest"
)

// A node is one value of the document together with where it stands. What is
// odd about it, but no reason to stop, is added to warn.
type node struct {
	path string
	raw  json.RawMessage
	warn *[]*PathError
}

type member struct {
	key string
	node
}

// Path writes down where a value stands in an AWS::CloudFormation::Init
// section, from the keys that lead to it: config.files["/etc/motd"].mode.
func Path(keys ...string) string {
	path := ""
	for _, key := range keys {
		path = child(path, key)
	}
	return path
}

// child is the path of a key below a path.
func child(path, key string) string {
	switch {
	case !plain(key):
		return path + "[" + strconv.Quote(key) + "]"
	case path == "":
		return key
	default:
		return path + "." + key
	}
}

// plain says that a key can stand in a path without quotes.
func plain(key string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
	return key != "" && strings.Trim(key, letters) == ""
}

func (n node) errorf(format string, args ...any) error {
	return &PathError{n.path, fmt.Errorf(format, args...)}
}

// odd adds a warning: what is odd, and what is made of it.
func (n node) odd(then, format string, args ...any) {
	*n.warn = append(*n.warn, &PathError{n.path, &oddity{fmt.Sprintf(format, args...), then}})
}

// wrong says that a value has the wrong type, and what it must be.
func (n node) wrong(want string) error {
	return n.errorf("is %s: it must be %s", kindOf(n.raw), want)
}

func kindOf(raw json.RawMessage) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}

func (n node) kind() byte {
	if len(n.raw) == 0 {
		return 'n'
	}
	return n.raw[0]
}

func (n node) null() bool { return n.kind() == 'n' }

// members returns the members of an object in document order, none for null.
// A key that stands twice counts once, with its last value, as JSON parsers
// commonly have it.
func (n node) members(want string) ([]member, error) {
	if n.null() {
		return nil, nil
	}
	if n.kind() != '{' {
		return nil, n.wrong(want)
	}
	var list []member
	index := map[string]int{}
	for rest := next(n.raw[1:]); rest[0] != '}'; rest = next(rest) {
		quoted := rest[:valueLen(rest)]
		rest = next(rest[len(quoted):])
		raw := rest[:valueLen(rest)]
		rest = rest[len(raw):]
		var key string
		if err := json.Unmarshal(quoted, &key); err != nil {
			return nil, n.errorf("%w", err)
		}
		m := member{key, node{path: child(n.path, key), raw: raw, warn: n.warn}}
		if i, twice := index[key]; twice {
			m.odd("the last one counts", "stands twice")
			list[i] = m
			continue
		}
		index[key] = len(list)
		list = append(list, m)
	}
	return list, nil
}

// next skips what stands between two values of valid JSON.
func next(json []byte) []byte { return bytes.TrimLeft(json, " \t\r\n:,") }

// valueLen is the length of the value that valid JSON begins with. The
// document was found valid when it was parsed; to let encoding/json find the
// ends of values would check all of it again at each depth.
func valueLen(json []byte) int {
	depth := 0
	for i := 0; i < len(json); i++ {
		switch json[i] {
		case '"':
			for i++; json[i] != '"'; i++ {
				if json[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		default:
			if depth > 0 || i+1 < len(json) && !bytes.ContainsAny(json[i+1:i+2], " \t\r\n,:]}") {
				continue
			}
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(json)
}

// sorted returns the members of an object in the order of their keys' bytes.
// To sort them, and not each list that is made of them, and by package sort,
// spares the program a copy of the sort for each type.
func (n node) sorted(want string) ([]member, error) {
	list, err := n.members(want)
	sort.Slice(list, func(i, j int) bool { return list[i].key < list[j].key })
	return list, err
}

// elements returns the elements of a list.
func (n node) elements(want string) ([]node, error) {
	var raws []json.RawMessage
	if n.kind() != '[' || json.Unmarshal(n.raw, &raws) != nil {
		return nil, n.wrong(want)
	}
	list := make([]node, len(raws))
	for i, raw := range raws {
		list[i] = node{fmt.Sprintf("%s[%d]", n.path, i), raw, n.warn}
	}
	return list, nil
}

// text returns a string; a number counts as its digits, and null as "".
func (n node) text(want string) (string, error) {
	switch k := n.kind(); {
	case k == 'n':
		return "", nil
	case k == '"':
		var s string
		err := json.Unmarshal(n.raw, &s)
		if err == nil && strings.ContainsRune(s, 0) {
			err = errors.New("holds a NUL character, which no file name or argument may have")
		}
		if err != nil {
			return "", n.errorf("%w", err)
		}
		return s, nil
	case k == '-' || k >= '0' && k <= '9':
		return string(n.raw), nil
	}
	return "", n.wrong(want)
}

// texts returns a list of strings; a single string counts as a list of one.
func (n node) texts(want string) ([]string, error) {
	if n.null() {
		return nil, nil
	}
	if n.kind() != '[' {
		s, err := n.text(want)
		return []string{s}, err
	}
	elements, err := n.elements(want)
	if err != nil {
		return nil, err
	}
	list := make([]string, len(elements))
	for i, e := range elements {
		if e.null() {
			return nil, e.wrong("a string")
		}
		if list[i], err = e.text("a string"); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// boolean returns what heat-cfntools' to_boolean gives: true for true, 1 and
// the strings true, yes, 1 (and AWS' y) in any case; false for anything else
// that is a single value. Null is nil.
func (n node) boolean() (*bool, error) {
	var value bool
	switch n.kind() {
	case 'n':
		return nil, nil
	case 't', 'f':
		value = n.kind() == 't'
	case '{', '[':
		return nil, n.wrong("true or false")
	default:
		s, err := n.text("true or false")
		if err != nil {
			return nil, err
		}
		switch strings.ToLower(strings.TrimSpace(s)) {
		case "true", "yes", "y", "1":
			value = true
		case "false", "no", "n", "0", "", "none":
		default:
			n.odd("taken for false", "%q is neither true nor false", s)
		}
	}
	return &value, nil
}

// unknown warns of a key that nothing reads, naming the nearest that is read.
func (m member) unknown(known []string) {
	hint := "known are " + strings.Join(known, ", ")
	if near := nearest.Word(m.key, known, 2); near != "" {
		hint = "did you mean " + near + "?"
	}
	m.odd("ignored", "unknown key (%s)", hint)
}

// each reads every member, and returns all that is wrong with them: each
// error is a *PathError of its own.
func each(members []member, read func(member) error) error {
	var errs []error
	for _, m := range members {
		errs = append(errs, read(m))
	}
	return errors.Join(errs...)
}
