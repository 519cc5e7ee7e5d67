package api

import (
	"testing"

	"github.com/google/uuid"
)

func TestRequestIDsAreUUIDsThatDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 10_000 {
		id := newID()
		if u, err := uuid.Parse(id); err != nil || u.Version() != 4 || u.Variant() != uuid.RFC4122 || seen[id] {
			t.Fatalf("%s: %v, version %d, variant %v, seen before: %v", id, err, u.Version(), u.Variant(), seen[id])
		}
		seen[id] = true
	}
}
