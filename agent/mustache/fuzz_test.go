package mustache

import (
	"encoding/json"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/cbroglie/mustache"
)

// The values for github.com/cbroglie/mustache: it prints what Go prints, so
// they bring the printing along, and it prints null as <nil>.
type (
	libraryList   []any
	libraryMap    map[string]any
	libraryNumber float64
	libraryNull   string
)

func (v libraryList) String() string   { return jsonText([]any(v)) }
func (v libraryMap) String() string    { return jsonText(map[string]any(v)) }
func (v libraryNumber) String() string { return jsonText(float64(v)) }

func (v libraryNumber) MarshalJSON() ([]byte, error) { return json.Marshal(float64(v)) }
func (v libraryNull) MarshalJSON() ([]byte, error)   { return []byte("null"), nil }

func jsonText(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // the value came from JSON
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// forLibrary returns v for the library, and whether the library and this
// package agree about it. To the library, text of blanks is false and an
// empty map is true; the Python libraries have both the other way round.
func forLibrary(v any) (any, bool) {
	switch v := v.(type) {
	case nil:
		return libraryNull(""), true
	case string:
		return v, v == "" || strings.TrimSpace(v) != ""
	case float64:
		return libraryNumber(v), v != 0 || !math.Signbit(v)
	case []any:
		list := make(libraryList, len(v))
		for i, e := range v {
			var ok bool
			if list[i], ok = forLibrary(e); !ok {
				return nil, false
			}
		}
		return list, true
	case map[string]any:
		m := make(libraryMap, len(v))
		for k, e := range v {
			var ok bool
			if m[k], ok = forLibrary(e); !ok {
				return nil, false
			}
		}
		return m, len(v) > 0
	}
	return v, true
}

var plainDelimiters = regexp.MustCompile(`^\s*=\s*[^\s=]+ [^\s=]+\s*=$`)

// deviates reports whether template has what the library is known to treat in
// a way of its own:
//   - a tag alone on the last line, with blanks after it, keeps its blanks;
//   - {{<x}} takes its line along, though it is only a variable;
//   - {{ {x}}}, with a blank before the brace, ends at the first }};
//   - delimiters that contain = or the closing delimiter, or are parted by
//     anything but one space, are misread or taken for a variable;
//   - a closing delimiter that begins like a tag (#, !, ...) ends a tag where
//     this package reads the kind of the tag;
//   - a name with an empty part, such as "a..", names a itself;
//   - the name of a Go method calls the method.
func deviates(template string) bool {
	if strings.Contains(template, "String") || strings.Contains(template, "MarshalJSON") ||
		strings.HasSuffix(template, " ") || strings.HasSuffix(template, "\t") {
		return true
	}
	p := parser{src: template, line: 1, left: "{{", right: "}}"}
	for {
		i := strings.Index(p.src[p.pos:], p.left)
		if i < 0 {
			return false
		}
		at := p.pos + i
		t, ok := p.tag(at)
		if t.sigil == '{' && p.src[at+len(p.left)] != '{' {
			return true
		}
		if !ok {
			return false
		}
		raw := p.src[at+len(p.left) : t.end-len(p.right)]
		parts := "." + t.text + "."
		switch {
		case t.sigil == 0 && strings.HasPrefix(t.text, "<"),
			t.sigil != '!' && t.text != "." && strings.Contains(parts, ".."),
			t.sigil == '=' && (!plainDelimiters.MatchString(raw) || strings.Contains(raw, p.right)):
			return true
		}
		if t.sigil == '=' {
			if p.delimiters(t.text) != nil || strings.ContainsAny(p.right[:1], sigils+"<") {
				return true
			}
		}
		p.advance(t.end)
	}
}

// stricter are the errors for what the library accepts: it reads a tag without
// a name as the name "", and bounds neither output nor work.
var stricter = regexp.MustCompile(`: (a tag is empty|a tag that sets|sections are nested|the output|the sections repeat)`)

func compare(t *testing.T, template string, context map[string]any) {
	t.Helper()
	got, err := Render(template, context)
	if err != nil && (strings.ContainsAny(err.Error(), "\r\n") || !strings.HasPrefix(err.Error(), "line ") || got != "") {
		t.Errorf("Render(%q) = %q, %q, want one line that begins with its number", template, got, err)
	}
	library, agree := forLibrary(context)
	if !agree || deviates(template) || err != nil && stricter.MatchString(err.Error()) {
		return
	}
	parsed, parseErr := mustache.ParseStringPartials(template, &mustache.StaticProvider{})
	if (err == nil) != (parseErr == nil) {
		t.Errorf("Render(%q): %v, library: %v", template, err, parseErr)
	}
	if err != nil || parseErr != nil {
		return
	}
	parsed.Escape(strings.NewReplacer("&", "&amp;", `"`, "&quot;", "<", "&lt;", ">", "&gt;").Replace)
	want, renderErr := parsed.Render(library)
	if renderErr != nil || got != want {
		t.Errorf("Render(%q, %s) = %q, library: %q, %v", template, jsonText(context), got, want, renderErr)
	}
}

const fuzzData = `{"a": "x<", "n": 1000000, "zero": 0, "yes": true, "off": false, "no": null, "none": [],
	"list": [{"a": 1, "b": {"c": 2}}, {"a": false}], "words": ["p", "&"], "nested": [[1], [2, 3]], "deep": {"er": {"est": "d"}}}`

// fuzzTemplates pair what the tables show one by one.
func fuzzTemplates() []string {
	return []string{
		"{{a}} {{{a}}} {{&a}} {{n}} {{zero}} {{no}} {{miss}} {{deep.er.est}} {{deep.miss.er}} {{list}} {{deep}}",
		"{{#list}}{{a}}{{#b}}{{c}}{{n}}{{/b}}{{^b}}none{{/b}}\n{{/list}}{{#words}}{{.}}{{/words}}",
		"{{#nested}}[{{#.}}{{.}},{{/.}}]{{/nested}}{{#deep.er}}{{est}}{{/deep.er}}{{#a}}{{.}}{{/a}}",
		" {{#yes}}\r\n  a {{a}} \r\n\t{{/yes}} \t\r\n{{^off}}\nb\n  {{/off}}",
		"{{! c }}\n  {{!\n c }} x\n {{>p}}\n{{=<% %>=}}\n<%a%> <%{a}%> {{a}} <%={{ }}=%>\n{{#zero}}no{{/zero}}",
		"{{#yes}} {{/yes}}\n {{#none}}x\n{{/none}} {{^none}}\n{{^zero}}\n{{/zero}}y{{/none}}",
		"{{#a}}{{/b}}", "{{a", "{{{a}}", "{{/a}}", "{{#a}}", "{{}}", "{{=x=}}", "{{ #yes }}a{{ / yes }}", "{{{a}}}}", "}}{{a}}",
	}
}

func TestAgreesWithTheLibrary(t *testing.T) {
	context := decode(t, fuzzData)
	if _, ok := forLibrary(context); !ok {
		t.Fatalf("forLibrary(%s) = false, want values that both agree on", fuzzData)
	}
	compared := 0
	for _, template := range fuzzTemplates() {
		if !deviates(template) {
			compared++
		}
		compare(t, template, context)
	}
	if compared < 14 {
		t.Errorf("compared %d templates, want at least 14", compared)
	}
}

func FuzzRender(f *testing.F) {
	for _, template := range fuzzTemplates() {
		f.Add(template, fuzzData)
	}
	f.Fuzz(func(t *testing.T, template, data string) {
		var context map[string]any
		if json.Unmarshal([]byte(data), &context) != nil {
			return
		}
		compare(t, template, context)
	})
}
