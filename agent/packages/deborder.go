package packages

import (
	"cmp"
	"strings"
)

// compareDeb compares two versions, [epoch:]upstream[-revision], in dpkg's
// order (deb-version(7)); what is no version is equal to anything. There is a
// library for it, which compiles patterns at start that every tool would pay
// for.
func compareDeb(a, b string) int {
	ea, a, _ := cutEpoch(a)
	eb, b, _ := cutEpoch(b)
	if a == "" || b == "" || !isDigit(a[0]) || !isDigit(b[0]) {
		return 0
	}
	ua, ra := cutRevision(a)
	ub, rb := cutRevision(b)
	return cmp.Or(orderDebPart(ea, eb), orderDebPart(ua, ub), orderDebPart(ra, rb))
}

func cutRevision(version string) (upstream, revision string) {
	if i := strings.LastIndexByte(version, '-'); i >= 0 {
		return version[:i], version[i+1:]
	}
	return version, ""
}

// orderDebPart compares two upstream versions or revisions: in turn a text
// without digits by the order of its characters, and a number.
func orderDebPart(a, b string) int {
	for a != "" || b != "" {
		for a != "" && !isDigit(a[0]) || b != "" && !isDigit(b[0]) {
			if c := cmp.Compare(debWeight(a), debWeight(b)); c != 0 {
				return c
			}
			a, b = a[min(1, len(a)):], b[min(1, len(b)):]
		}
		var na, nb string
		na, a = cutDigits(a)
		nb, b = cutDigits(b)
		if c := cmp.Or(cmp.Compare(len(na), len(nb)), cmp.Compare(na, nb)); c != 0 {
			return c
		}
	}
	return 0
}

// cutDigits cuts the number that a text begins with, without leading zeros.
func cutDigits(s string) (number, rest string) {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return strings.TrimLeft(s[:n], "0"), s[n:]
}

// debWeight is the place of the first character: a tilde before the end, the
// end and digits alike, then letters, then all others.
func debWeight(s string) int {
	switch {
	case s == "" || isDigit(s[0]):
		return 0
	case s[0] == '~':
		return -1
	case isLetter(s[0]):
		return int(s[0])
	}
	return int(s[0]) + 256
}
