package commands

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/cfn-agent/cfn-agent/agent/sys"
)

func TestLastLines(t *testing.T) {
	s := system()
	s.Mask = sys.NewMask([]string{"correct horse"})
	f := func(text string, want ...string) {
		t.Helper()
		o := newOutput(s, nil)
		for chunk := range slices.Chunk([]byte(text), 7) {
			_, _ = o.Write(chunk)
		}
		if got := o.lastLines(); !slices.Equal(got, want) {
			t.Errorf("lastLines(%.40q) = %q, want %q", text, got, want)
		}
	}
	f("")
	f("a\n\n  b \r\n\n", "a", "  b")
	f("10%\r50%\r100%\n", "100%")
	f("a\tb\x00\x1b[0m\xff", "a\tb[0m\uFFFD")
	f("correct horse\n", "********")
	f(strings.Repeat("x", shownWidth)+"end", "..."+strings.Repeat("x", shownWidth-3)+"end")
	// What is left of a secret whose beginning is not kept is not shown.
	f("correct horse"+strings.Repeat("-", 2*keptTail-5)+"\nlast\n", "last")
}

func FuzzLastLines(f *testing.F) {
	f.Add([]byte("a\rb\n\xff\x00\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		o := newOutput(system(), nil)
		_, _ = o.Write(data)
		lines := o.lastLines()
		if len(lines) > shownLines {
			t.Errorf("lastLines gives %d lines, want at most %d", len(lines), shownLines)
		}
		for _, line := range lines {
			control := strings.ContainsFunc(line, func(r rune) bool { return r != '\t' && unicode.IsControl(r) })
			if line == "" || control || !utf8.ValidString(line) {
				t.Errorf("lastLines gives %q, which no terminal shows as it is", line)
			}
		}
	})
}
