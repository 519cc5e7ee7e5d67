// Package nearest finds what a mistyped word was meant to be. It is for
// messages: what it finds is a guess, and nothing may act on it.
package nearest

import "strings"

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
