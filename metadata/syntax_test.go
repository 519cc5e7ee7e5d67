package metadata

import (
	"strings"
	"testing"
)

// Punctuation is no secret, and what most often is wrong with JSON is
// punctuation.
func TestSyntaxErrorsSayWhatBelongs(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, err := Parse([]byte(text))
		if want = "the metadata is not JSON: " + want; err == nil || err.Error() != want {
			t.Errorf("Parse(%q) = %v\nwant %s", text, err, want)
		}
	}
	f(`{"a": "b" "c": 1}`, `line 1, column 11: '"' where a comma or } belongs: is a comma missing before it?`)
	f("{\"a\": {}\n {\"b\": 1}}", `line 2, column 2: '{' where a comma or } belongs: is a comma missing before it?`)
	f(`{"a": ["b" "c"]}`, `line 1, column 12: '"' where a comma or ] belongs: is a comma missing before it?`)
	f(`{"a": [1 2]}`, `line 1, column 10: a comma or ] belongs here: is a comma missing before it?`)
	f("{\"a\": 1,\n}", `line 2, column 1: '}' after a comma: take the comma away`)
	f(`{"a": [1, ]}`, `line 1, column 11: ']' after a comma: take the comma away`)
	f(`{"a": }`, `line 1, column 7: '}' where a value belongs`)
	f(`{"a", 1}`, `line 1, column 5: ',' where a colon belongs`)
	f(`{, "a": 1}`, `line 1, column 2: ',' where a name in double quotes or a } belongs`)
	f(`{secret: 1}`, `line 1, column 2: a name in double quotes or a } belongs here`)
	f(`{"a": secret}`, `line 1, column 7: a value belongs here: a text needs double quotes`)
	f(`{"a": True}`, `line 1, column 7: a value belongs here: a text needs double quotes`)
	f(`{"a": nSecret}`, `line 1, column 8: neither a number nor true, false or null: a text needs double quotes`)
	f(`{"a": 0644}`, `line 1, column 8: neither a number nor true, false or null: a text needs double quotes`)
	f(`{'a': 1}`, `line 1, column 2: ''' where a name in double quotes or a } belongs: JSON quotes with "`)
	f(`{"a": 1 # secret`, `line 1, column 9: '#' where a comma or } belongs`)
	f(`{"a": [1}`, `line 1, column 9: '}' where a comma or ] belongs`)
	f(`{"a": 1}}`, `line 1, column 9: '}' where nothing more belongs`)
	f("{\"a\": \"secret\n\"}", `line 1, column 14: the line ends within a string: is the closing quote missing? a line end in a string is written \n`)
	f("{\"a\": \"\tsecret\"}", `line 1, column 8: a control character within a string: a tab is written \t`)
	f(`{"a": "\secret"}`, `line 1, column 9: a backslash begins an escape here that JSON does not have: write \\ for a backslash`)
	f(`{"a": "\u12 secret"}`, `line 1, column 12: an escape is not whole: \u takes four hexadecimal digits`)
	if _, err := Parse([]byte("<html>")); err == nil || err.Error() != "the metadata is XML or a web page: it must be a JSON object" {
		t.Errorf("Parse(<html>) = %v", err)
	}
	f(strings.Repeat("[", 20000), "line 1, column 10001: the brackets are nested too deep")
	f("AWS::CloudFormation::Init:\n  config: {}\n", "is it YAML? convert it first")
	f("files: {}", "is it YAML? convert it first")
	f("\"AWS::CloudFormation::Init\":\n  config: {}\n", "is it YAML? convert it first")
	f("---\na: 1", "is it YAML? convert it first")
	f(`{"a": "b`, "line 1, column 8: the text ends too early")
	f(`"{\"a\": [,]}"`, `line 1, column 8: ',' where a value or a ] belongs`)
}

// The message shows no letter and no digit of the text.
func FuzzSyntaxErrorShowsNoText(f *testing.F) {
	for _, text := range []string{`{"a": 1`, `{"a"x`, `[[}`, `{"\x`, "{\"a\": \"\n", `"{"`, `{"a": tx`, `{}x`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		// Letters that no message has.
		data = []byte(strings.NewReplacer("y", "ÿ", "z", "ÿ").Replace(string(data)))
		_, err := Parse(data)
		if err != nil && strings.ContainsAny(err.Error(), "ÿ\n") {
			t.Errorf("Parse(%q) = %v, which quotes it", data, err)
		}
	})
}
