// Package nearest finds what a mistyped word was meant to be. It is for
// messages: what it finds is a guess, and nothing may act on it.
package nearest

import (
	"maps"
	"slices"
	"strings"
)

// Word returns the known word that is most like a word, letters' case aside:
// the shortest that the word abbreviates, as cmd does command, else the one
// for which the fewest letters must be inserted, removed or replaced, at most
// limit; else "".
func Word(word string, known []string, limit int) string {
	best := ""
	for _, k := range known {
		if abbreviates(strings.ToLower(word), strings.ToLower(k)) && (best == "" || len(k) < len(best)) {
			best = k
		}
	}
	if best != "" {
		return best
	}
	for _, k := range known {
		if d := Distance(strings.ToLower(word), strings.ToLower(k)); d <= limit {
			best, limit = k, d-1
		}
	}
	return best
}

// abbreviates says that a word has only letters of a longer one in their
// order, and its first letter.
func abbreviates(short, long string) bool {
	if len(short) < 2 || len(short) >= len(long) || short[0] != long[0] {
		return false
	}
	for i := range len(long) {
		if short != "" && short[0] == long[i] {
			short = short[1:]
		}
	}
	return short == ""
}

// Words returns the known words that are most like a word, letters' case
// aside, the nearest first and at most n: those that a third of its letters,
// or two, mistyped explain, or a longer form of one of the two.
func Words(word string, known []string, n int) []string {
	near := map[int][]string{} // by distance
	want := strings.ToLower(word)
	for _, k := range known {
		other := strings.ToLower(k)
		d := Distance(want, other)
		if d <= tolerated(want) || begins(want, other) || begins(other, want) {
			near[d] = append(near[d], k)
		}
	}
	var words []string
	for _, d := range slices.Sorted(maps.Keys(near)) {
		slices.Sort(near[d])
		words = append(words, slices.Compact(near[d])...)
	}
	return words[:min(n, len(words))]
}

// tolerated is how many letters may differ. Two swapped ones count as two.
func tolerated(word string) int {
	if len(word) < 4 {
		return 1
	}
	return max(2, len(word)/3)
}

// begins says that a word of three letters or more begins another one.
func begins(word, long string) bool { return len(word) >= 3 && strings.HasPrefix(long, word) }

// Distance is the least number of letters to insert, remove or replace that
// makes one word the other (V. I. Levenshtein, "Binary codes capable of
// correcting deletions, insertions, and reversals"). It counts bytes.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
