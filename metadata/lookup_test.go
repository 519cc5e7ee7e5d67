package metadata

import (
	"reflect"
	"strings"
	"testing"
)

func TestLookup(t *testing.T) {
	d := parse(t, `{"foo": {"bar": {"fred.1": "abcd"}}, "a": {"a": {"b": 1}, "b": {"a": {"c": 2}}},
		"list": [{"x": 1}, "two"], "no": null, "f": false, "z": 0, "e": "", "": {"": 3}, "q'": 4}`)
	f := func(path, want string) {
		t.Helper()
		got, ok := d.Lookup(path)
		if !ok || string(got) != want {
			t.Errorf("Lookup(%q) = %s, %v, want %s", path, got, ok, want)
		}
	}
	f("foo.bar.'fred.1'", `"abcd"`)
	f(`foo.bar.fred\.1`, `"abcd"`)
	f("'foo'.bar.'fred.1'", `"abcd"`)
	// heat-cfntools took every later repeat of a part of the path away.
	f("a.a.b", "1")
	f("a.b.a.c", "2")
	// heat-cfntools could not look into lists.
	f("list.0.x", "1")
	f("list.1", `"two"`)
	// What counts as false is there all the same.
	f("no", "null")
	f("f", "false")
	f("z", "0")
	f("e", `""`)
	f(".", "3")
	f("q'", "4")
	for _, path := range []string{"no_key", "foo.fred", "foo.bar.x", "list.2", "list.-1", "list.x", "z.x", "foo.bar.'fred.1'.x"} {
		if got, ok := d.Lookup(path); ok {
			t.Errorf("Lookup(%q) = %s, want nothing", path, got)
		}
	}
	if whole, ok := d.Lookup(""); !ok || string(whole) != string(d.Bytes()) {
		t.Errorf("Lookup of the empty path = %s, %v, want the document", whole, ok)
	}
}

func FuzzSplitPath(f *testing.F) {
	for _, seed := range []string{"a.b", "a.'b.c'.d", `a\.b`, "'", "''.", "'a'b", "."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		keys := SplitPath(path)
		if path == "" {
			return
		}
		escaped := make([]string, len(keys))
		for i, k := range keys {
			if strings.Contains(k, `\.`) || strings.HasSuffix(k, `\`) || strings.HasPrefix(k, "'") {
				return // cannot be written down with escapes alone
			}
			escaped[i] = strings.ReplaceAll(k, ".", `\.`)
		}
		if again := SplitPath(strings.Join(escaped, ".")); len(strings.Join(escaped, ".")) > 0 && !reflect.DeepEqual(again, keys) {
			t.Errorf("SplitPath(%q) = %q, written down again it is %q", path, keys, again)
		}
	})
}
