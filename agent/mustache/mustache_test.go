package mustache

import (
	"encoding/json"
	"go/build"
	"slices"
	"strings"
	"testing"
)

const data = `{
	"text": "a<b>&\"'", "n": 1000000, "f": 0.5, "zero": 0, "huge": 1e21, "exact": 12345678901234567, "no": null,
	"yes": true, "off": false, "empty": "", "blank": " ", "name": "outer", "my key": "spaced", "ключ": "unicode",
	"list": [{"name": "x"}, {"name": "y"}, {}], "words": ["p", "<"], "numbers": [1, 2.5], "nested": [[1, 2], [3]],
	"none": [], "nothing": {}, "holes": [null, false, ""],
	"deep": {"er": {"est": "d"}, "name": "inner", "no": null, "html": "<>"}, "a": {"b": {}}, "b": {"c": "wrong"},
	"x.y": "never"
}`

func decode(t testing.TB, text string) map[string]any {
	t.Helper()
	var context map[string]any
	if err := json.Unmarshal([]byte(text), &context); err != nil {
		t.Fatal(err)
	}
	return context
}

// rule is one rule of the Mustache specification with a template that shows it.
type rule struct{ name, template, want string }

func check(t *testing.T, rules []rule) {
	t.Helper()
	context := decode(t, data)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			got, err := Render(r.template, context)
			if err != nil || got != r.want {
				t.Errorf("Render(%q) = %q, %v, want %q", r.template, got, err, r.want)
			}
		})
	}
}

func TestInterpolation(t *testing.T) {
	check(t, []rule{
		{"no tags", "plain } text { ", "plain } text { "},
		{"empty template", "", ""},
		{"variable", "[{{name}}]", "[outer]"},
		{"variables are not rendered again", "{{=<% %>=}}<%name%>{{name}}", "outer{{name}}"},
		{"html is escaped", "{{text}}", "a&lt;b&gt;&amp;&quot;'"},
		{"triple mustache is raw", "{{{text}}}", `a<b>&"'`},
		{"ampersand is raw", "{{&text}}", `a<b>&"'`},
		{"integer", "{{n}} {{{n}}} {{&n}}", "1000000 1000000 1000000"},
		{"zero", "{{zero}}", "0"},
		{"fraction", "{{f}} {{{f}}}", "0.5 0.5"},
		{"huge number as JSON writes it", "{{huge}}", "1e+21"},
		{"boolean", "{{yes}} {{off}}", "true false"},
		{"null is nothing", "[{{no}}{{{no}}}{{&no}}]", "[]"},
		{"missing is nothing", "[{{miss}}{{{miss}}}{{&miss}}{{miss.ing}}]", "[]"},
		{"list as JSON", "{{{words}}} {{numbers}}", `["p","<"] [1,2.5]`},
		{"map as JSON", "{{{deep}}}", `{"er":{"est":"d"},"html":"<>","name":"inner","no":null}`},
		{"dotted", "{{deep.er.est}}={{{deep.er.est}}}={{&deep.er.est}}", "d=d=d"},
		{"dotted is escaped", "{{deep.html}} {{{deep.html}}}", "&lt;&gt; <>"},
		{"broken chain", "[{{deep.est}}{{deep.er.est.no}}{{name.er}}{{deep.no.er}}{{words.0}}]", "[]"},
		{"first part decides", "[{{#a}}{{b.c}}{{/a}}]", "[]"},
		{"a dot in a key is not found", "[{{x.y}}]", "[]"},
		{"padding within a tag", "{{ name }}{{{ name }}}{{& name }}{{\n\tname\n}}", "outerouterouterouter"},
		{"whitespace around stays", "| {{name}} |\n  {{name}}\n{{{name}}}\n\t{{&name}}\n", "| outer |\n  outer\nouter\n\touter\n"},
		{"variable alone on a line keeps it", "  {{miss}}\n", "  \n"},
		{"key with a space", "{{my key}}", "spaced"},
		{"key beyond ASCII", "{{ключ}}", "unicode"},
		{"brace after triple mustache", "{{{name}}}}", "outer}"},
		{"padding before the brace of a raw tag", "{{ {text}}}", `a<b>&"'`},
	})
}

func TestSections(t *testing.T) {
	check(t, []rule{
		{"true", "{{#yes}}a{{/yes}}", "a"},
		{"false, null, missing, empty list", "[{{#off}}a{{/off}}{{#no}}b{{/no}}{{#miss}}c{{/miss}}{{#none}}d{{/none}}]", "[]"},
		{"0, empty text and empty map are false", "[{{#zero}}a{{/zero}}{{#empty}}b{{/empty}}{{#nothing}}c{{/nothing}}]", "[]"},
		{"blank text is true", "{{#blank}}a{{/blank}}", "a"},
		{"map becomes the context", "{{#deep}}{{name}} {{n}}{{/deep}}", "inner 1000000"},
		{"context ends with the section", "{{#deep}}{{/deep}}{{name}}", "outer"},
		{"outer names are seen", "{{#list}}{{name}},{{/list}}", "x,y,outer,"},
		{"null hides an outer name", "[{{#deep}}{{no}}{{/deep}}]", "[]"},
		{"implicit iterator", "{{#words}}({{.}}){{/words}}", "(p)(&lt;)"},
		{"implicit iterator, raw", "{{#words}}({{{.}}}{{&.}}){{/words}}", "(pp)(<<)"},
		{"implicit iterator, numbers", "{{#numbers}}({{.}}){{/numbers}}", "(1)(2.5)"},
		{"implicit iterator, nested lists", "{{#nested}}({{#.}}{{.}}{{/.}}){{/nested}}", "(12)(3)"},
		{"a list turns for false elements too", "{{#holes}}({{.}}){{/holes}}", "()(false)()"},
		{"scalar as the context", "{{#name}}<{{.}}{{name}}>{{/name}}", "<outerouter>"},
		{"doubled", "{{#yes}}a{{/yes}}b{{#yes}}c{{/yes}}", "abc"},
		{"nested of one name", "{{#yes}}a{{#yes}}b{{/yes}}c{{/yes}}", "abc"},
		{"nested within false", "[{{#off}}a{{#yes}}b{{/yes}}c{{/off}}]", "[]"},
		{"dotted", "{{#deep.er}}{{est}}{{/deep.er}}{{#deep.miss}}no{{/deep.miss}}", "d"},
		{"whitespace around stays", " | {{#yes}}\t|\t{{/yes}} | \n", " | \t|\t | \n"},
		{"newline within stays", " | {{#yes}} {{! c }}\n {{/yes}} | \n", " |  \n  | \n"},
		{"two on a line are not alone", " {{#yes}}a{{/yes}}\n {{#yes}}b{{/yes}}\n", " a\n b\n"},
		{"alone on a line", "| a\n{{#yes}}\n| b\n{{/yes}}\n| c\n", "| a\n| b\n| c\n"},
		{"alone and indented", "| a\n  {{#yes}}\n| b\n\t{{/yes}} \t\n| c\n", "| a\n| b\n| c\n"},
		{"alone with CRLF", "|\r\n{{#yes}}\r\n{{/yes}}\r\n|", "|\r\n|"},
		{"alone on the first line", "  {{#yes}}\n#{{/yes}}\n/", "#\n/"},
		{"alone on the last line", "#{{#yes}}\n/\n  {{/yes}}", "#\n/\n"},
		{"alone on the last line, blanks after", "{{#yes}}\n/\n{{/yes}}  ", "/\n"},
		{"padding within a tag", "{{# yes }}a{{/ yes }}{{ #yes }}b{{\t/yes}}", "ab"},
	})
}

func TestInverted(t *testing.T) {
	check(t, []rule{
		{"false, null, missing, empty list", "{{^off}}a{{/off}}{{^no}}b{{/no}}{{^miss}}c{{/miss}}{{^none}}d{{/none}}", "abcd"},
		{"0, empty text and empty map are false", "{{^zero}}a{{/zero}}{{^empty}}b{{/empty}}{{^nothing}}c{{/nothing}}", "abc"},
		{"true, map, list, text", "[{{^yes}}a{{/yes}}{{^deep}}b{{/deep}}{{^words}}c{{/words}}{{^blank}}d{{/blank}}]", "[]"},
		{"the context stays", "{{#deep}}{{^miss}}{{name}}{{/miss}}{{/deep}}", "inner"},
		{"else", "{{#off}}a{{/off}}{{^off}}b{{/off}}", "b"},
		{"nested of one name", "{{^off}}a{{^off}}b{{/off}}c{{/off}}", "abc"},
		{"dotted", "[{{^deep.er}}a{{/deep.er}}{{^deep.no}}b{{/deep.no}}{{^miss.ing}}c{{/miss.ing}}]", "[bc]"},
		{"whitespace around stays", " | {{^off}}\t|\t{{/off}} | \n", " | \t|\t | \n"},
		{"alone on a line", "| a\n {{^off}}\n| b\n {{/off}}\n| c\n", "| a\n| b\n| c\n"},
		{"alone with CRLF", "|\r\n{{^off}}\r\n{{/off}}\r\n|", "|\r\n|"},
		{"alone on the last line", "^{{^off}}\n/\n  {{/off}}", "^\n/\n"},
		{"padding within a tag", "{{^ off }}a{{/ off }}", "a"},
	})
}

func TestComments(t *testing.T) {
	check(t, []rule{
		{"inline", "a{{! c }}b", "ab"},
		{"empty", "a{{!}}b", "ab"},
		{"many lines", "a{{!\n c\n c\n}}b\n", "ab\n"},
		{"alone on a line", "a\n{{! c }}\nb\n", "a\nb\n"},
		{"alone and indented", "a\n  {{! c }}\t\nb\n", "a\nb\n"},
		{"alone with CRLF", "|\r\n{{! c }}\r\n|", "|\r\n|"},
		{"alone without a line before", "  {{! c }}\n!", "!"},
		{"alone without a line after", "!\n  {{! c }}", "!\n"},
		{"many lines alone", "a\n  {{!\n c\n  }}\nb\n", "a\nb\n"},
		{"not alone behind text", "  12 {{! 34 }}\n", "  12 \n"},
		{"whitespace around stays", "12 {{! c }} 34", "12  34"},
		{"a tag after a comment of many lines is not alone", "{{!\n}} {{#yes}}\n{{/yes}}", " \n"},
	})
}

func TestDelimiters(t *testing.T) {
	check(t, []rule{
		{"pair", "{{=<% %>=}}(<%name%>)", "(outer)"},
		{"single characters", "({{=[ ]=}}[name])", "(outer)"},
		{"characters special elsewhere", "({{=| |=}}|name|) {{=", "(outer) {{="},
		{"raw", "{{=<% %>=}}<%{text}%><%&text%>", `a<b>&"'a<b>&"'`},
		{"section", "{{=| |=}}|#yes|a{{name}}|/yes|", "a{{name}}"},
		{"set within a section", "{{#words}}{{=| |=}}|.|{{.}}|={{ }}=|{{/words}}", "p{{.}}&lt;{{.}}"},
		{"set back", "{{=| |=}}|name||={{ }}=|{{name}}|name|", "outerouter|name|"},
		{"whitespace around stays", "| {{=@ @=}} |", "|  |"},
		{"alone on a line", "a\n  {{=@ @=}}\nb\n", "a\nb\n"},
		{"alone with CRLF", "|\r\n{{=@ @=}}\r\n|", "|\r\n|"},
		{"alone without a line after", "=\n  {{=@ @=}}", "=\n"},
		{"padding", "|{{= @   @ =}}|@name@", "||outer"},
	})
}

func TestPartialsAreEmpty(t *testing.T) {
	check(t, []rule{
		{"inline", "[{{>mustache.go}}{{> /etc/hostname }}]", "[]"},
		{"alone on a line", "a\n  {{> p }}\nb", "a\nb"},
	})
}

func TestNumbersKeepTheirSpelling(t *testing.T) {
	d := json.NewDecoder(strings.NewReader(data))
	d.UseNumber()
	var context map[string]any
	if err := d.Decode(&context); err != nil {
		t.Fatal(err)
	}
	const template = "{{exact}} {{huge}} {{zero}} {{#f}}{{.}}{{/f}} {{^zero}}none{{/zero}} {{numbers}}"
	const want = "12345678901234567 1e21 0 0.5 none [1,2.5]"
	if got, err := Render(template, context); err != nil || got != want {
		t.Errorf("Render(%q) = %q, %v, want %q", template, got, err, want)
	}
}

func TestNoContext(t *testing.T) {
	const template = "[{{x}}{{#x}}a{{/x}}{{^x}}b{{/x}}]"
	if got, err := Render(template, nil); err != nil || got != "[b]" {
		t.Errorf("Render(%q) = %q, %v, want [b]", template, got, err)
	}
}

func TestErrors(t *testing.T) {
	tests := []struct{ name, template, want string }{
		{"tag not closed", "a\n{{b\nc", "line 2: a tag is not closed"},
		{"comment not closed", "{{! b", "line 1: a tag is not closed"},
		{"raw tag closed with two braces", "\n\n{{{b}}", "line 3: a tag is not closed"},
		{"empty tag", "a\r\n{{ }}", "line 2: a tag is empty"},
		{"section without a name", "{{#}}{{/}}", "line 1: a tag is empty"},
		{"section not closed", "\n{{#a}}\n{{#b}}{{/b}}\n", `line 2: section "a" has no closing tag`},
		{"inverted section not closed", "{{! \n\n }}\n{{^a}}", `line 4: section "a" has no closing tag`},
		{"closing tag alone", "\n  {{/a}}\n", `line 2: closing tag "a" belongs to no section`},
		{"sections crossed", "{{#a}}\n{{#b}}\n{{/a}}\n{{/b}}", `line 3: closing tag "a" is within section "b" of line 2`},
		{"one delimiter", "\n{{=|=}}", "line 2: a tag that sets delimiters must look like {{=<% %>=}}"},
		{"three delimiters", "{{=a b c=}}", "line 1: a tag that sets delimiters must look like {{=<% %>=}}"},
		{"equals sign as delimiter", "{{=a= b=}}", "line 1: a tag that sets delimiters must look like {{=<% %>=}}"},
		{"no delimiters", "{{= =}}", "line 1: a tag that sets delimiters must look like {{=<% %>=}}"},
		{"delimiters not closed", "{{=<% %>}}", "line 1: a tag that sets delimiters must look like {{=<% %>=}}"},
		{"the name is cut at a space", "{{#a\npassword: secret }}", `line 1: section "a..." has no closing tag`},
		{"a long name is cut", "{{#" + strings.Repeat("я", 100) + "}}", `line 1: section "` + strings.Repeat("я", 20) + `..." has no closing tag`},
		{"a name stays on one line", "{{#a\x1b\x00}}", `line 1: section "a\x1b\x00" has no closing tag`},
		{"sections too deep", strings.Repeat("{{#a}}\n", maxDepth+1), "line 101: sections are nested more than 100 deep"},
		{"value that is not from JSON", "\n{{bad}}", `line 2: print "bad": json: unsupported type: chan int`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Render(tt.template, map[string]any{"bad": make(chan int)})
			if err == nil || err.Error() != tt.want || got != "" {
				t.Errorf("Render(%q) = %q, %v, want error %q", tt.template, got, err, tt.want)
			}
		})
	}
}

func TestDeepestSections(t *testing.T) {
	template := strings.Repeat("{{#a}}", maxDepth) + "x" + strings.Repeat("{{/a}}", maxDepth)
	if got, err := Render(template, map[string]any{"a": true}); err != nil || got != "x" {
		t.Errorf("Render of %d sections in one another = %q, %v, want x", maxDepth, got, err)
	}
}

// A list within itself multiplies: a short template could fill the memory, or
// keep a processor busy for years without a byte of output.
func TestHostileTemplates(t *testing.T) {
	context := map[string]any{"l": make([]any, 100), "mb": strings.Repeat("x", 1<<20)}
	tests := []struct{ name, template, want string }{
		{"output", "{{#l}}\n{{{mb}}}{{/l}}", "line 2: the output exceeds 64 MiB"},
		{"turns", strings.Repeat("{{#l}}", 50) + strings.Repeat("{{/l}}", 50), "line 1: the sections repeat too much"},
		{"long names", "{{#l}}{{" + strings.Repeat("a", 1<<20) + "}}{{/l}}", "line 1: the sections repeat too much"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Render(tt.template, context)
			if err == nil || err.Error() != tt.want || got != "" {
				t.Errorf("Render = %d bytes, %v, want error %q", len(got), err, tt.want)
			}
		})
	}
}

// The template packages of the standard library call methods by name, for
// which the linker must keep every exported method in the binary.
func TestImportsStaySmall(t *testing.T) {
	pkg, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"bytes", "encoding/json", "fmt", "strconv", "strings", "unicode"}
	if !slices.Equal(pkg.Imports, want) {
		t.Errorf("imports = %q, want %q", pkg.Imports, want)
	}
}

func BenchmarkRender(b *testing.B) {
	context := decode(b, data)
	template := strings.Repeat("server {{name}} {\n  {{#list}}\n  listen {{name}}:{{n}};\n  {{/list}}\n"+
		"  {{^off}}root {{{text}}} {{deep.er.est}};{{/off}}\n}\n", 20)
	b.SetBytes(int64(len(template)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Render(template, context); err != nil {
			b.Fatal(err)
		}
	}
}
