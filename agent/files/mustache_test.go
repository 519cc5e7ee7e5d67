package files

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestRender(t *testing.T) {
	const data = `{"name": "a<b>&\"'", "n": 1000000, "f": 0.5, "zero": 0, "big": 12345678901234567890, "no": null,
		"list": [{"k": "x"}, {"k": "y"}], "words": ["p", "q"], "deep": {"er": "d"}, "yes": true, "off": false, "none": []}`
	var context map[string]any
	if err := json.Unmarshal([]byte(data), &context); err != nil {
		t.Fatal(err)
	}
	for template, want := range map[string]string{
		"plain":                              "plain",
		"{{name}}":                           "a&lt;b&gt;&amp;&quot;'",
		"{{{name}}} {{&name}}":               `a<b>&"' a<b>&"'`,
		"{{n}} {{f}} {{zero}}":               "1000000 0.5 0",
		"{{big}}":                            "12345678901234567000",
		"[{{no}}{{missing}}]":                "[]",
		"{{deep.er}}":                        "d",
		"{{#deep}}{{er}}{{/deep}}":           "d",
		"{{#list}}{{k}},{{/list}}":           "x,y,",
		"{{#words}}{{.}}{{/words}}":          "pq",
		"{{#yes}}a{{/yes}}{{#off}}b{{/off}}": "a",
		"{{^none}}a{{/none}}{{^yes}}b{{/yes}}{{^missing}}c{{/missing}}": "ac",
		"{{#no}}a{{/no}}{{^no}}b{{/no}}":                                "b",
		"a{{! comment }}b":                                              "ab",
		"{{=<% %>=}}<%n%> {{n}}":                                        "1000000 {{n}}",
		"| {{#yes}}\n  a\n{{/yes}}\n":                                   "| \n  a\n",
		"{{#yes}}\na\n{{/yes}}\nb":                                      "a\nb",
	} {
		got, err := render([]byte(template), context)
		if err != nil || string(got) != want {
			t.Errorf("render(%q) = %q, %v, want %q", template, got, err, want)
		}
	}
}

func TestEmptyContextStillRenders(t *testing.T) {
	got, err := render([]byte("[{{x}}]"), nil)
	if err != nil || string(got) != "[]" {
		t.Errorf("render with an empty context = %q, %v, want []", got, err)
	}
}

// The library would read partials from the working directory.
func TestPartialsAreNotReadFromTheDisk(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("CWD", dir)
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("leak"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, template := range []string{"[{{>secret}}]", "[{{> " + dir + "/secret}}]"} {
		if got, err := render([]byte(template), nil); err != nil || string(got) != "[]" {
			t.Errorf("render(%s) = %q, %v, want []", template, got, err)
		}
	}
}

func FuzzRender(f *testing.F) {
	f.Add([]byte("{{a}} {{{b}}} {{#c}}{{.}}{{/c}}{{^d}}x{{/d}}{{=<% %>=}}<%a%>{{>p}}"))
	context := map[string]any{"a": 1.5, "b": "<", "c": []any{1.0, nil}, "d": map[string]any{"e": true}}
	f.Fuzz(func(t *testing.T, template []byte) {
		once, err := render(template, context)
		twice, again := render(template, context)
		if (err == nil) != (again == nil) || !bytes.Equal(once, twice) {
			t.Errorf("render(%q) = %q, %v, then %q, %v, want the same twice", template, once, err, twice, again)
		}
	})
}
