package sys

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Masked stands where a secret was.
const Masked = "********"

// MinSecret is the length from which a value counts as a secret: shorter ones
// are words of the language too, and masking them would garble every text.
const MinSecret = 8

// A Mask hides secrets in text. The nil Mask hides nothing.
type Mask struct {
	replacer *strings.Replacer
}

// NewMask returns a mask that hides the given values, those of at least
// MinSecret characters. Each line of one of several lines is hidden too, as
// programs print keys line by line, and so is what quoting makes of a value.
func NewMask(secrets []string) *Mask {
	secrets = forms(secrets)
	// The longest first, so that a secret that holds another goes whole.
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Or(len(b)-len(a), cmp.Compare(a, b)) })
	var pairs []string
	for _, s := range slices.Compact(secrets) {
		if len(s) >= MinSecret {
			pairs = append(pairs, s, Masked)
		}
	}
	if len(pairs) == 0 {
		return nil
	}
	return &Mask{strings.NewReplacer(pairs...)}
}

// forms returns secrets in all forms in which they may be shown.
func forms(secrets []string) []string {
	var all []string
	for _, s := range secrets {
		if len(s) < MinSecret {
			continue
		}
		all = append(all, s)
		for line := range strings.Lines(s) {
			all = append(all, strings.TrimSpace(line))
		}
		quoted := strconv.Quote(s)
		all = append(all, quoted[1:len(quoted)-1], url.QueryEscape(s), url.PathEscape(s))
		if b, err := json.Marshal(s); err == nil {
			all = append(all, string(b[1:len(b)-1]))
		}
	}
	return all
}

// String returns text with every secret hidden.
func (m *Mask) String(text string) string {
	if m == nil {
		return text
	}
	return m.replacer.Replace(text)
}

// Writer returns a writer that hides secrets in whole lines before they reach
// w. Its Close writes out a last line without an end; it does not close w.
func (m *Mask) Writer(w io.Writer) io.WriteCloser {
	return &maskWriter{mask: m, w: w}
}

// maxLine bounds what a maskWriter keeps of a line without an end.
const maxLine = 64 << 10

type maskWriter struct {
	mask *Mask
	w    io.Writer
	line []byte
}

func (m *maskWriter) Write(p []byte) (int, error) {
	m.line = append(m.line, p...)
	end := bytes.LastIndexByte(m.line, '\n') + 1
	if end == 0 && len(m.line) > maxLine {
		end = len(m.line)
	}
	if end == 0 {
		return len(p), nil
	}
	_, err := io.WriteString(m.w, m.mask.String(string(m.line[:end])))
	m.line = append(m.line[:0], m.line[end:]...)
	return len(p), err
}

func (m *maskWriter) Close() error {
	if len(m.line) == 0 {
		return nil
	}
	_, err := io.WriteString(m.w, m.mask.String(string(m.line)))
	m.line = nil
	return err
}
