package packages

import (
	"cmp"
	"strings"
)

// orderRPM compares two versions, [epoch:]version[-release], in rpm's order
// (rpm-version(7)): an epoch that is left out is 0. There is a library for
// it, which compiles patterns at start that every tool would pay for.
func orderRPM(a, b string) int {
	ea, a, _ := cutEpoch(a)
	eb, b, _ := cutEpoch(b)
	va, ra, _ := strings.Cut(a, "-")
	vb, rb, _ := strings.Cut(b, "-")
	return cmp.Or(orderRPMPart(ea, eb), orderRPMPart(va, vb), orderRPMPart(ra, rb))
}

// orderRPMPart compares two versions or releases: runs of digits by their
// number, runs of letters by their bytes, and whatever parts them not at all.
// A tilde is older than the end, a caret newer than the end and older than
// anything else; digits are newer than letters.
func orderRPMPart(a, b string) int {
	for a != "" || b != "" {
		a, b = strings.TrimLeftFunc(a, partsRPM), strings.TrimLeftFunc(b, partsRPM)
		switch {
		case strings.HasPrefix(a, "~") || strings.HasPrefix(b, "~"):
			if !strings.HasPrefix(a, "~") || !strings.HasPrefix(b, "~") {
				return order(strings.HasPrefix(b, "~"))
			}
			a, b = a[1:], b[1:]
		case strings.HasPrefix(a, "^") || strings.HasPrefix(b, "^"):
			switch {
			case strings.HasPrefix(a, "^") && strings.HasPrefix(b, "^"):
				a, b = a[1:], b[1:]
			case a == "" || b == "":
				return order(b == "")
			default:
				return order(strings.HasPrefix(b, "^"))
			}
		case a == "" || b == "":
			return cmp.Compare(len(a), len(b))
		case isDigit(a[0]) != isDigit(b[0]):
			return order(isDigit(a[0]))
		default:
			var ra, rb string
			ra, a = cutRun(a)
			rb, b = cutRun(b)
			if c := orderRun(ra, rb); c != 0 {
				return c
			}
		}
	}
	return 0
}

// order is 1 when the first is newer, else -1.
func order(newer bool) int {
	if newer {
		return 1
	}
	return -1
}

func partsRPM(r rune) bool {
	return r > 0x7f || !isDigit(byte(r)) && !isLetter(byte(r)) && r != '~' && r != '^'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// cutRun cuts the digits, or the letters, that a text begins with.
func cutRun(s string) (run, rest string) {
	kind := isLetter
	if isDigit(s[0]) {
		kind = isDigit
	}
	n := 0
	for n < len(s) && kind(s[n]) {
		n++
	}
	return s[:n], s[n:]
}

// orderRun compares two runs of the same kind; numbers may have any length.
func orderRun(a, b string) int {
	if isDigit(a[0]) {
		a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
		if c := cmp.Compare(len(a), len(b)); c != 0 {
			return c
		}
	}
	return cmp.Compare(a, b)
}
