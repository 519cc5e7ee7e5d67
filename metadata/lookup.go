package metadata

import (
	"encoding/json"
	"strconv"
	"strings"
)

// top returns the value of a key of the document itself. It reads no deeper:
// what stands below other keys may be anything.
func (d Document) top(key string) (json.RawMessage, bool) {
	return step(d.raw, key)
}

// Lookup returns the value at a key path, and whether there is one; a value
// of null is one. Keys are separated by dots. A key that holds dots is quoted
// as heat-cfntools has it, foo.'bar.1', or its dots are escaped as
// aws-cfn-bootstrap has it, foo.bar\.1. An element of a list is its number
// from 0. The empty path is the whole document.
func (d Document) Lookup(path string) (json.RawMessage, bool) {
	value := d.raw
	for _, key := range SplitPath(path) {
		var ok bool
		if value, ok = step(value, key); !ok {
			return nil, false
		}
	}
	return value, len(value) > 0
}

// SplitPath splits a key path into its keys; see Document.Lookup. A quote
// that is not closed, or does not begin its key, stands for itself.
func SplitPath(path string) []string {
	if path == "" {
		return nil
	}
	var keys []string
	for {
		key, rest, more := nextKey(path)
		keys = append(keys, key)
		if !more {
			return keys
		}
		path = rest
	}
}

func nextKey(path string) (key, rest string, more bool) {
	if strings.HasPrefix(path, "'") {
		if end := strings.IndexByte(path[1:], '\''); end >= 0 {
			key, rest = path[1:1+end], path[end+2:]
			if rest == "" || rest[0] == '.' {
				return key, strings.TrimPrefix(rest, "."), rest != ""
			}
		}
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		switch {
		case path[i] == '\\' && i+1 < len(path) && path[i+1] == '.':
			b.WriteByte('.')
			i++
		case path[i] == '.':
			return b.String(), path[i+1:], true
		default:
			b.WriteByte(path[i])
		}
	}
	return b.String(), "", false
}

func step(value json.RawMessage, key string) (json.RawMessage, bool) {
	n := node{raw: value, warn: new([]*PathError)}
	switch n.kind() {
	case '{':
		members, _ := n.members("an object")
		for _, m := range members {
			if m.key == key {
				return m.raw, true
			}
		}
	case '[':
		var list []json.RawMessage
		i, err := strconv.Atoi(key)
		if err != nil || json.Unmarshal(value, &list) != nil || i < 0 || i >= len(list) {
			return nil, false
		}
		return list[i], true
	}
	return nil, false
}
