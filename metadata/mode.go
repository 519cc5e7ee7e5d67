package metadata

import (
	"strconv"
	"strings"
)

// File types in a mode, as in stat(2): what stands before the last four octal
// digits.
const (
	typeNone    = 0
	typeRegular = 0o10
	typeSymlink = 0o12
)

// mode reads a file's mode: a string of octal digits, or a number.
func (n node) mode() (Mode, error) {
	const want = `octal digits in a string, such as "000644"`
	switch n.kind() {
	case 'n':
		return Mode{}, nil
	case '"':
		s, err := n.text(want)
		if err != nil {
			return Mode{}, err
		}
		s = strings.TrimSpace(s)
		if s == "" {
			return Mode{}, nil
		}
		digits := strings.TrimPrefix(strings.TrimPrefix(s, "0o"), "0O")
		m, ok := octalMode(digits)
		if !ok || len(digits) < 3 || len(digits) > 7 {
			return Mode{}, n.errorf("%q is not a mode: it must be %s", s, want)
		}
		return m, nil
	case '{', '[', 't', 'f':
		return Mode{}, n.wrong(want)
	}
	return n.numberMode()
}

// numberMode reads a mode that is a number. YAML 1.1 takes 000644 for octal
// and hands over 420; YAML 1.2, and many an author, mean the digits 644. Of
// the two readings the one that looks like a file's mode is meant.
func (n node) numberMode() (Mode, error) {
	text := string(n.raw)
	var readings []Mode
	value, err := strconv.ParseUint(text, 10, 32)
	if err == nil {
		if m, ok := bitsMode(value); ok && m.plausible() {
			readings = append(readings, m)
		}
	}
	if m, ok := octalMode(text); ok && m.plausible() {
		readings = append(readings, m)
	}
	if len(readings) == 2 && readings[0] == readings[1] {
		readings = readings[:1]
	}
	if len(readings) == 1 {
		return readings[0], nil
	}
	if err != nil {
		return Mode{}, n.errorf(`%s is not a mode: it must be octal digits in a string, such as "000644"`, text)
	}
	return Mode{}, n.errorf(`the number %s can be read as mode %06o or as mode %s: write the octal digits in a string, such as "000644"`,
		text, value, text)
}

func octalMode(digits string) (Mode, bool) {
	v, err := strconv.ParseUint(digits, 8, 32)
	if err != nil {
		return Mode{}, false
	}
	return bitsMode(v)
}

func bitsMode(v uint64) (Mode, bool) {
	switch v >> 12 {
	case typeNone, typeRegular:
		return Mode{Bits: uint32(v & 0o7777), Set: true}, true
	case typeSymlink:
		return Mode{Bits: uint32(v & 0o7777), Set: true, Symlink: true}, true
	}
	return Mode{}, false
}

// plausible says that a mode is one that somebody would give a file: its
// owner can read it, others cannot write it, nobody may write and not read,
// and nobody may do what a closer one may not.
func (m Mode) plausible() bool {
	if m.Symlink {
		return true
	}
	owner, group, other := m.Bits>>6&7, m.Bits>>3&7, m.Bits&7
	return owner&4 != 0 && other&2 == 0 && (group&2 == 0 || group&4 != 0) &&
		group&^owner == 0 && other&^group == 0
}
