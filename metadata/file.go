package metadata

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"path"
	"strings"
	"unicode/utf16"

	"github.com/cfn-agent/cfn-agent/agent/mustache"
)

func (n node) files(c *Config) error {
	entries, err := n.sorted("an object of paths")
	if err != nil {
		return err
	}
	return each(entries, func(e member) error {
		f, err := e.file()
		c.Files = append(c.Files, f)
		return err
	})
}

func (m member) file() (File, error) {
	f := File{Path: m.key}
	if !path.IsAbs(f.Path) || strings.HasSuffix(f.Path, "/") {
		return f, m.errorf("a file needs an absolute path, such as /etc/motd")
	}
	var content node
	encoding := "plain"
	text := func(s *string, want string) func(node) error {
		return func(n node) (err error) { *s, err = n.text(want); return }
	}
	err := m.fields(fields{
		"content":        func(n node) error { content = n; return nil },
		"encoding":       text(&encoding, "plain or base64"),
		"source":         func(n node) (err error) { f.Source, err = n.location("a URL"); return },
		"sha256":         func(n node) (err error) { f.SHA256, err = n.sha256(); return },
		"mode":           func(n node) (err error) { f.Mode, err = n.mode(); return },
		"owner":          text(&f.Owner, "the name of a user"),
		"group":          text(&f.Group, "the name of a group"),
		"authentication": text(&f.Authentication, "a name in "+AuthenticationKey),
		"context": func(n node) error {
			f.HasContext = !n.null()
			if !n.null() && n.kind() != '{' {
				return n.wrong("an object")
			}
			return decodeNumbers(n.raw, &f.Context)
		},
	})
	if !content.null() {
		var wrong error
		f.HasContent = true
		if f.Content, wrong = content.content(encoding); wrong == nil && f.HasContext {
			wrong = content.template(f.Content)
		}
		err = errors.Join(err, wrong)
	}
	if err != nil {
		return f, err
	}
	if f.HasContent && f.Source != "" {
		m.odd("the content is used", "has both content and source")
		f.Source = ""
	}
	if !f.HasContent && f.Source == "" {
		m.odd("left out", "a file needs content or a source")
	}
	return f, m.checkSymlink(&f)
}

// template checks the syntax of content that is to be rendered.
func (n node) template(text []byte) error {
	if err := mustache.Check(string(text)); err != nil {
		return n.errorf("%w", err)
	}
	return nil
}

// decodeNumbers decodes an object, numbers as they are written.
func decodeNumbers(raw json.RawMessage, object *map[string]any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return dec.Decode(object)
}

func (m member) checkSymlink(f *File) error {
	if !f.Mode.Symlink {
		return nil
	}
	if f.Mode.Bits != 0 {
		m.odd("ignored", "the last digits of the mode mean nothing: a symbolic link has none")
	}
	if f.HasContent && (len(f.Content) == 0 || bytes.ContainsAny(f.Content, "\x00")) {
		return m.errorf("a symbolic link (mode 120...) needs the path it points to as its content")
	}
	return nil
}

// content is what a file holds: a string as it is or from base64, other JSON
// written out with an indent of 4, as heat-cfntools means to and Python's
// json.dumps does: in document order, non-ASCII characters escaped, and no
// newline at the end.
func (n node) content(encoding string) ([]byte, error) {
	if n.kind() != '"' {
		var b bytes.Buffer
		if err := json.Indent(&b, n.raw, "", "    "); err != nil {
			return nil, n.errorf("%w", err)
		}
		return escapeNonASCII(b.String()), nil
	}
	var s string
	if err := json.Unmarshal(n.raw, &s); err != nil {
		return nil, n.errorf("%w", err)
	}
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "plain", "":
		return []byte(s), nil
	case "base64":
		compact := strings.Join(strings.Fields(s), "")
		b, err := base64.StdEncoding.DecodeString(compact)
		if err != nil {
			b, err = base64.RawStdEncoding.DecodeString(compact)
		}
		if err != nil {
			// Neither the text nor err's position of it: it may be a secret.
			return nil, n.errorf("is not valid base64, which its encoding says it is")
		}
		return b, nil
	}
	return nil, n.errorf("the encoding is unknown: it must be plain or base64")
}

func escapeNonASCII(s string) []byte {
	var b bytes.Buffer
	for _, r := range s {
		switch {
		case r < 0x80:
			b.WriteByte(byte(r))
		case r < 0x10000:
			writeEscape(&b, r)
		default:
			high, low := utf16.EncodeRune(r)
			writeEscape(&b, high)
			writeEscape(&b, low)
		}
	}
	return b.Bytes()
}

func writeEscape(b *bytes.Buffer, r rune) {
	const hex = "0123456789abcdef"
	b.WriteString(`\u`)
	for shift := 12; shift >= 0; shift -= 4 {
		b.WriteByte(hex[r>>shift&0xf])
	}
}

func (n node) sha256() (string, error) {
	const want = "the 64 hexadecimal digits of a SHA-256"
	s, err := n.text(want)
	if err != nil {
		return "", err
	}
	s = strings.ToLower(strings.TrimSpace(s))
	if s != "" && (len(s) != 64 || strings.Trim(s, "0123456789abcdef") != "") {
		return "", n.errorf("must be %s", want)
	}
	return s, nil
}
