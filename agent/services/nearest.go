package services

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/nearest"
)

// nearestUnits returns the names most like a name, at most n of them: those that a
// few mistyped letters or a longer form of the name explain.
func nearestUnits(name string, names []string, n int) []string {
	type candidate struct {
		name     string
		distance int
	}
	want := stem(name)
	var near []candidate
	for _, other := range names {
		if filepath.Ext(other) != filepath.Ext(name) {
			continue
		}
		d := nearest.Distance(want, stem(other))
		longer := len(want) >= 3 && strings.HasPrefix(stem(other), want) || len(stem(other)) >= 3 && strings.HasPrefix(want, stem(other))
		if longer || d <= tolerated(want) {
			near = append(near, candidate{other, d})
		}
	}
	slices.SortFunc(near, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), strings.Compare(a.name, b.name))
	})
	var out []string
	for _, c := range slices.Compact(near) {
		if len(out) < n {
			out = append(out, c.name)
		}
	}
	return out
}

// tolerated is how many letters may differ. Two swapped ones count as two.
func tolerated(name string) int {
	if len(name) < 4 {
		return 1
	}
	return max(2, len(name)/3)
}

func stem(name string) string {
	return strings.ToLower(strings.TrimSuffix(name, filepath.Ext(name)))
}
