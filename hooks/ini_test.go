package hooks

import (
	"reflect"
	"strings"
	"testing"
)

// parse reads one file and returns its values as they are asked for.
func parse(text string) (map[string]map[string]string, *ini) {
	var f ini
	f.read("f", []byte(text))
	got := map[string]map[string]string{}
	for _, s := range f.sections {
		keys := map[string]string{}
		for _, from := range []*section{&f.defaults, s} {
			for key := range from.keys {
				keys[key], _ = f.get(s, key)
			}
		}
		got[s.name] = keys
	}
	return got, &f
}

// The values are those that configparser.ConfigParser of Python 3.11 gives
// for the same text.
func TestRulesOfConfigparser(t *testing.T) {
	type file = map[string]map[string]string
	tests := []struct {
		name, text string
		want       file
	}{
		{"= or :, whichever is first", "[a]\nx = 1\ny: 2\nz=a:b\nw:a=b\nv =: c\n", file{"a": {"x": "1", "y": "2", "z": "a:b", "w": "a=b", "v": ": c"}}},
		{"keys in any case, sections not", "[A]\nKey = 1\n[a]\nKEY = 2\n", file{"A": {"key": "1"}, "a": {"key": "2"}}},
		{"comment lines", "# one\n; two\n[a]\n  # three\nx = 1\n  ; four\n", file{"a": {"x": "1"}}},
		{"no comments after a value", "[a] # here\nx = 1 ; 2 # 3\n", file{"a": {"x": "1 ; 2 # 3"}}},
		{"a value goes on where it is indented more", "[a]\nx = 1\n  2\n\t3\ny = 4\n", file{"a": {"x": "1\n2\n3", "y": "4"}}},
		{"indented keys", "[a]\n  x = 1\n  y = 2\n     3\n  z = 4\n", file{"a": {"x": "1", "y": "2\n3", "z": "4"}}},
		{"empty lines within a value, comments without", "[a]\nx = 1\n\n  2\n  # no\n  3\n\n\ny =\n", file{"a": {"x": "1\n\n2\n3", "y": ""}}},
		{"a value that begins on the next line", "[a]\nx =\n  [b]\n  c = d\n", file{"a": {"x": "\n[b]\nc = d"}}},
		{"quotes are characters", "[a]\nx = `date` now\ny = \"\"\"q\"\"\" r\nz = \"s\"\n\"k\" = 'v'\n", file{"a": {"x": "`date` now", "y": `"""q""" r`, "z": `"s"`, `"k"`: "'v'"}}},
		{"a backslash joins no lines", "[a]\nx = 1 \\\ny = 2\n", file{"a": {"x": `1 \`, "y": "2"}}},
		{"a dash is a key", "[a]\n- = 1\n-x = 2\n", file{"a": {"-": "1", "-x": "2"}}},
		{"defaults are inherited", "[a]\nx = 1\n[DEFAULT]\nx = 0\ny = 2\n[b]\n", file{"a": {"x": "1", "y": "2"}, "b": {"x": "0", "y": "2"}}},
		{"no inheritance by dots", "[a]\nx = 1\n[a.b]\n", file{"a": {"x": "1"}, "a.b": {}}},
		{"brackets in names", "[a]b]\nx = 1\n[ c ]\n", file{"a]b": {"x": "1"}, " c ": {}}},
		{"two percent signs are one", "[a]\nx = date +%%F\ny = 100%%\nz = %%%%\n", file{"a": {"x": "date +%F", "y": "100%", "z": "%%"}}},
		{"the value of another key", "[DEFAULT]\ndir = /opt\n[a]\nx = %(dir)s/%(Name)s%%\nname = n\ny = %%(dir)s\n",
			file{"a": {"x": "/opt/n%", "name": "n", "dir": "/opt", "y": "%(dir)s"}}},
		{"line ends of Windows and a byte order mark", "\uFEFF[a]\r\nx = 1\r\n  2\r\n", file{"a": {"x": "1\n2"}}},
	}
	for _, tt := range tests {
		if got, f := parse(tt.text); !reflect.DeepEqual(got, tt.want) || f.problems != nil {
			t.Errorf("%s: %q = %q, %v, want %q", tt.name, tt.text, got, f.problems, tt.want)
		}
	}
}

// Python refuses a section that a file has twice.
func TestSectionInTwoParts(t *testing.T) {
	got, _ := parse("[a]\nx = 1\n[b]\n[a]\ny = 2\n")
	if want := map[string]map[string]string{"a": {"x": "1", "y": "2"}, "b": {}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// One percent sign, as in date +%F, made both old tools refuse the whole
// configuration.
func TestLonePercentSignIsItself(t *testing.T) {
	f := func(value, want string) {
		t.Helper()
		got, _ := parse("[a]\nother = o\nx = " + value + "\n")
		if got["a"]["x"] != want {
			t.Errorf("%q = %q, want %q", value, got["a"]["x"], want)
		}
	}
	f("date +%F", "date +%F")
	f("100%", "100%")
	f("%", "%")
	f("%%%", "%%")
	f("%(none)s", "%(none)s")
	f("%(other", "%(other")
	f("%()s", "%()s")
	f("%(x)s", "%(x)s") // itself, without end
	f("%d %(other)s%", "%d o%")
}

func TestValuesThatGrowByEachOtherAreBounded(t *testing.T) {
	text := "[a]\nk0 = " + strings.Repeat("x", 1000) + "\n"
	for _, k := range []string{"0", "1", "2", "3", "4", "5", "6", "7", "8"} {
		next := string(k[0] + 1)
		text += "k" + next + " = " + strings.Repeat("%(k"+k+")s", 10) + "\n"
	}
	var f ini
	f.read("f", []byte(text))
	if v, ok := f.get(f.section("a"), "k9"); !ok || len(v) > 20*maxValue {
		t.Errorf("k9 has %d bytes", len(v))
	}
}

func TestLinesThatAreNothing(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, in := parse(text)
		var problems []string
		for _, p := range in.problems {
			problems = append(problems, p.Error())
		}
		for _, s := range in.sections {
			if s.bad != nil {
				problems = append(problems, s.bad.Error())
			}
		}
		if got := strings.Join(problems, "; "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	f("x = 1\n[a]\ny = 2\n", "f:1: the line stands before any [section]: it was skipped")
	f("[a]\nx = 1\nnonsense\n[b]\ny = 1\n", "f:3: [a]: the line is not KEY = VALUE")
	f("[a]\n= 1\n", "f:2: [a]: the line is not KEY = VALUE")
	f("[a\nx = 1\n", "f:1: the line stands before any [section]: it was skipped; f:2: the line stands before any [section]: it was skipped")
	f("[]\n", "f:1: the line stands before any [section]: it was skipped")
	f("[DEFAULT]\nnonsense\n", "f:2: the line is not KEY = VALUE: it was skipped")
	f("[a]\nx = 1\nX = 2\n", "f:3: key x is there twice: the last one holds")
}

// print writes what was read as a file that says the same.
func print(f *ini) string {
	var b strings.Builder
	for _, s := range append([]*section{{name: defaultSection, keys: f.defaults.keys}}, f.sections...) {
		b.WriteString("[" + s.name + "]\n")
		for key, value := range s.keys {
			b.WriteString(key + " = " + strings.ReplaceAll(value, "\n", "\n ") + "\n")
		}
	}
	return b.String()
}

func FuzzINI(f *testing.F) {
	f.Add("[main]\nstack = s\n[h]\ntriggers = post.update\n path: a\n\n  b\n# c\n%(x)s = %\n")
	f.Add("[DEFAULT]\nx=%%\n[a]]\n[ = ]\n\x00=\xff\n\t=\n")
	f.Fuzz(func(t *testing.T, text string) {
		values, in := parse(text)
		for i := range in.sections {
			in.sections[i].bad = nil
		}
		printed := print(in)
		again, back := parse(printed)
		if !reflect.DeepEqual(values, again) {
			t.Errorf("%q is %q, printed %q is %q (%v)", text, values, printed, again, back.problems)
		}
	})
}
