package mustache

import (
	"strconv"
	"strings"
	"unicode"
)

type kind byte

const (
	kindText kind = iota
	kindVariable
	kindRaw
	kindSection
	kindInverted
)

// A node is text to copy or a tag to act on. A template is a flat list of
// them, which stays small for a template that is all tags.
type node struct {
	text string // the text, or the name in the tag
	line int    // of the tag, from 1
	end  int    // of a section: index after its last node
	kind kind
}

// A tag is one tag of the template as it stands there.
type tag struct {
	sigil byte   // one of sigils, or 0
	text  string // what follows the sigil, trimmed
	end   int    // offset after the closing delimiter
}

const (
	sigils = "#^/>!={&"
	// standalone are the sigils of tags that take their line with them if
	// they are alone on it: those that print nothing themselves.
	standalone = "#^/>!="
)

type parser struct {
	src         string
	pos         int // read so far
	line        int // of pos, from 1
	left, right string
	nodes       []node
	open        []int // indexes of the sections not closed yet
}

func parse(template string) ([]node, error) {
	p := parser{src: template, line: 1, left: "{{", right: "}}"}
	for {
		i := strings.Index(p.src[p.pos:], p.left)
		if i < 0 {
			p.text(len(p.src))
			break
		}
		if err := p.step(p.pos + i); err != nil {
			return nil, err
		}
	}
	if len(p.open) > 0 {
		n := p.nodes[p.open[len(p.open)-1]]
		return nil, lineError(n.line, "section %s has no closing tag", quote(n.text))
	}
	return p.nodes, nil
}

// step takes the text up to the tag at offset at, and the tag.
func (p *parser) step(at int) error {
	t, ok := p.tag(at)
	start, end := at, t.end
	if ok && strings.IndexByte(standalone, t.sigil) >= 0 {
		start, end = p.wholeLine(at, t.end)
	}
	p.text(start)
	p.advance(at)
	if !ok && t.sigil != '=' { // that one has an error of its own, of which this is a case
		return lineError(p.line, "a tag is not closed")
	}
	if err := p.act(t); err != nil {
		return err
	}
	p.advance(end)
	return nil
}

// tag reads the tag whose opening delimiter is at offset at. If it is not
// closed, only its sigil is known.
func (p *parser) tag(at int) (t tag, ok bool) {
	body := strings.TrimLeftFunc(p.src[at+len(p.left):], unicode.IsSpace)
	right := p.right
	if body != "" && strings.IndexByte(sigils, body[0]) >= 0 {
		t.sigil, body = body[0], body[1:]
	}
	switch t.sigil {
	case '{':
		right = "}" + right
	case '=':
		right = "=" + right
	}
	text, rest, ok := strings.Cut(body, right)
	if !ok {
		return t, false
	}
	t.text = strings.TrimSpace(text)
	t.end = len(p.src) - len(rest)
	return t, true
}

// wholeLine widens start and end of a tag to the line that it is alone on, or
// returns them as they are. The end of the template ends a line too.
func (p *parser) wholeLine(start, end int) (int, int) {
	first := start
	for first > p.pos && isBlank(p.src[first-1]) {
		first--
	}
	if first > 0 && p.src[first-1] != '\n' {
		return start, end
	}
	last := end
	for last < len(p.src) && isBlank(p.src[last]) {
		last++
	}
	rest := p.src[last:]
	switch {
	case rest == "":
		return first, last
	case strings.HasPrefix(rest, "\n"):
		return first, last + 1
	case strings.HasPrefix(rest, "\r\n"):
		return first, last + 2
	}
	return start, end
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func (p *parser) act(t tag) error {
	if t.text == "" && t.sigil != '!' && t.sigil != '=' {
		return lineError(p.line, "a tag is empty")
	}
	switch t.sigil {
	case '!', '>': // a partial is empty
	case '=':
		return p.delimiters(t.text)
	case '{', '&':
		p.add(kindRaw, t.text)
	case '#', '^':
		if len(p.open) == maxDepth {
			return lineError(p.line, "sections are nested more than %d deep", maxDepth)
		}
		p.open = append(p.open, len(p.nodes))
		k := kindSection
		if t.sigil == '^' {
			k = kindInverted
		}
		p.add(k, t.text)
	case '/':
		return p.closeSection(t.text)
	default:
		p.add(kindVariable, t.text)
	}
	return nil
}

func (p *parser) closeSection(name string) error {
	if len(p.open) == 0 {
		return lineError(p.line, "closing tag %s belongs to no section", quote(name))
	}
	last := len(p.open) - 1
	n := &p.nodes[p.open[last]]
	if n.text != name {
		return lineError(p.line, "closing tag %s is within section %s of line %d", quote(name), quote(n.text), n.line)
	}
	n.end = len(p.nodes)
	p.open = p.open[:last]
	return nil
}

func (p *parser) delimiters(text string) error {
	f := strings.Fields(text)
	if len(f) != 2 || strings.Contains(text, "=") {
		return lineError(p.line, "a tag that sets delimiters must look like {{=<%% %%>=}}")
	}
	p.left, p.right = f[0], f[1]
	return nil
}

// text adds what is between pos and end.
func (p *parser) text(end int) {
	if end > p.pos {
		p.add(kindText, p.src[p.pos:end])
	}
}

func (p *parser) add(k kind, text string) {
	p.nodes = append(p.nodes, node{kind: k, text: text, line: p.line})
}

func (p *parser) advance(to int) {
	p.line += strings.Count(p.src[p.pos:to], "\n")
	p.pos = to
}

// quote returns name for an error: on one line, and no more than a name. If
// a delimiter is missing, what the parser takes for a name may be a good part
// of the file, secrets and all.
func quote(name string) string {
	const most = 40 // bytes
	short := name
	if i := strings.IndexFunc(short, unicode.IsSpace); i >= 0 {
		short = short[:i]
	}
	if len(short) > most {
		short = strings.ToValidUTF8(short[:most], "")
	}
	if short != name {
		return strconv.Quote(short + "...")
	}
	return strconv.Quote(name)
}
