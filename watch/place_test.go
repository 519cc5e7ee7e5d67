package watch

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// crowded are names whose hashes are the same as, or next to, those of others.
func crowded(t *testing.T) []string {
	type hashed struct {
		hash uint32
		name string
	}
	var all []hashed
	for i := range 300_000 {
		name := fmt.Sprint(i)
		all = append(all, hashed{hashOf(name), name})
	}
	slices.SortFunc(all, func(a, b hashed) int { return cmp.Compare(a.hash, b.hash) })
	var found []string
	for i := 1; i < len(all); i++ {
		if all[i].hash-all[i-1].hash <= 1 {
			found = append(found, all[i-1].name, all[i].name)
		}
	}
	if len(found) < 10 {
		t.Fatalf("only %d names crowd, of %d", len(found), len(all))
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func TestNamesThatCrowdAreFound(t *testing.T) {
	crowd := crowded(t)
	at := names{}
	var all list[string]
	nameOf := func(p place) string { return *all.at(p) }
	for round := range 100 {
		rand.Shuffle(len(crowd), func(i, j int) { crowd[i], crowd[j] = crowd[j], crowd[i] })
		for _, name := range crowd {
			at.add(name, all.add(&name))
		}
		for i, name := range crowd {
			p := at.find(name, nameOf)
			if all.at(p) == nil || nameOf(p) != name {
				t.Fatalf("round %d: %s is at place %d, which is not its own", round, name, p)
			}
			at.remove(name, p, nameOf)
			all.remove(p)
			for j, other := range crowd {
				if found := at.find(other, nameOf) != 0; found != (j > i) {
					t.Fatalf("round %d: %s is found: %t, when %d are removed of which it is number %d", round, other, found, i+1, j+1)
				}
			}
		}
		if len(at) != 0 || all.len() != 0 || len(all.all) > len(crowd)+1 {
			t.Fatalf("round %d: %d names and %d places of %d are left, want none of %d", round, len(at), all.len(), len(all.all), len(crowd))
		}
	}
}
