package hooks

import (
	"errors"
	"fmt"
	"strings"
)

// A Part is what of a resource a hook looks at.
type Part int

// The parts of a resource. A path that ends with the resource is about the
// time of its last update.
const (
	LastUpdated Part = iota
	PhysicalResourceID
	Metadata
)

// String is the part in the names of environment variables, CFN_NEW_METADATA.
func (p Part) String() string {
	return [...]string{"LAST_UPDATED", "PHYSICAL_RESOURCE_ID", "METADATA"}[p]
}

// A Target is what the path of a hook names. Key is a key path below the
// metadata in the form of metadata.Document.Lookup, empty for all of them.
type Target struct {
	Resource string
	Part     Part
	Key      string
}

// ParsePath reads the path of a hook: Resources.ID, Resources.ID.Metadata,
// with or without keys after it, or Resources.ID.PhysicalResourceId. A dot
// within an id or a key is written \. and the fixed words may be in any case.
func ParsePath(path string) (Target, error) {
	first, rest, more := cutPath(path)
	if !strings.EqualFold(first, "Resources") || !more {
		return Target{}, fmt.Errorf("path %q does not begin with Resources.ID: write Resources.ID.Metadata", path)
	}
	id, rest, more := cutPath(rest)
	id = strings.ReplaceAll(id, `\.`, ".")
	if strings.TrimSpace(id) == "" {
		return Target{}, fmt.Errorf("path %q names no resource: write Resources.ID.Metadata", path)
	}
	t := Target{Resource: id}
	if !more {
		return t, nil
	}
	part, key, more := cutPath(rest)
	switch {
	case strings.EqualFold(part, "PhysicalResourceId") && !more:
		t.Part = PhysicalResourceID
		return t, nil
	case strings.EqualFold(part, "Metadata"):
		t.Part, t.Key = Metadata, key
		if err := checkKeys(key, more); err != nil {
			return Target{}, fmt.Errorf("path %q: %w", path, err)
		}
		return t, nil
	}
	return Target{}, fmt.Errorf("path %q: after the resource comes Metadata, with or without keys, or PhysicalResourceId, or nothing", path)
}

func checkKeys(key string, more bool) error {
	for more {
		var k string
		if k, key, more = cutPath(key); k == "" {
			return errors.New(`a key of it is empty: write \. for a dot within a key`)
		}
	}
	return nil
}

// cutPath cuts a path at the first dot without a backslash before it.
func cutPath(path string) (before, after string, found bool) {
	for i := range len(path) {
		if path[i] == '.' && (i == 0 || path[i-1] != '\\') {
			return path[:i], path[i+1:], true
		}
	}
	return path, "", false
}
