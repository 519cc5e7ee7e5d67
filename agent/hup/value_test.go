package hup

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/hooks"
)

func TestValueOf(t *testing.T) {
	r := Resource{
		PhysicalID: "id-1", LastUpdated: time.Date(2012, 7, 23, 13, 6, 0, 0, time.UTC),
		Metadata: document(t, `{"a": {"b.c": 0, "n": null}, "l": ["x"], "f": false, "e": "", "o": {}}`),
	}
	f := func(path, want string) {
		t.Helper()
		target, err := hooks.ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(valueOf(target, r)); got != want {
			t.Errorf("value at %s = %q, want %q", path, got, want)
		}
	}
	f("Resources.R", `"2012-07-23T13:06:00Z"`)
	f("Resources.R.PhysicalResourceId", `"id-1"`)
	f("Resources.R.Metadata", string(r.Metadata.Bytes()))
	f(`Resources.R.Metadata.a.b\.c`, "0")
	f("Resources.R.Metadata.l.0", `"x"`)
	f("Resources.R.Metadata.f", "false")
	f("Resources.R.Metadata.e", `""`)
	f("Resources.R.Metadata.o", "{}")
	f("Resources.R.Metadata.a.n", "")
	f("Resources.R.Metadata.none", "")
	r = Resource{}
	f("Resources.R", "")
	f("Resources.R.PhysicalResourceId", "")
	f("Resources.R.Metadata", "")
}

// aws-cfn-bootstrap takes 0, false, "" and {} for no value.
func TestChange(t *testing.T) {
	f := func(old, now, want string) {
		t.Helper()
		if got := change(json.RawMessage(old), json.RawMessage(now)); got != want {
			t.Errorf("change(%s, %s) = %q, want %q", old, now, got, want)
		}
	}
	f("", "", "")
	f("null", "", "")
	f("", "1", hooks.Added)
	f("null", "{}", hooks.Added)
	f("1", "null", hooks.Removed)
	for _, empty := range []string{"0", "false", `""`, "{}", "[]"} {
		f("", empty, hooks.Added)
		f("1", empty, hooks.Updated)
		f(empty, "1", hooks.Updated)
		f(empty, "", hooks.Removed)
		f(empty, empty, "")
	}
}

func TestSameMeaningIsNoChange(t *testing.T) {
	f := func(a, b string, same bool) {
		t.Helper()
		if got := change(json.RawMessage(a), json.RawMessage(b)) == ""; got != same {
			t.Errorf("%s and %s: same = %v, want %v", a, b, got, same)
		}
	}
	f(`{"a": 1, "b": [1, {"c": 2, "d": 3}]}`, `{"b":[1.0,{"d":3,"c":2e0}],"a":10e-1}`, true)
	f(`{"a": [1, 2]}`, `{"a": [2, 1]}`, false)
	f(`"\u00e9 \u003c"`, `"é <"`, true)
	f("1", `"1"`, false)
	f("1", "true", false)
	f("0", "-0.00e5", true)
	f("1.50", "15e-1", true)
	f("1500", "1.5E+3", true)
	f("-1", "1", false)
	f("9007199254740993", "9007199254740992", false) // the same as floating point
	f("1e400", "1e401", false)
	f("1e99999999999999999999", "1e99999999999999999999", true)
	f("1e99999999999999999999", "1e99999999999999999998", false)
	f("{}", "[]", false)
	f("0", "false", false)
}

func FuzzCanonical(f *testing.F) {
	f.Add(`{"a": [1.50e3, -0, null, "x\u0000", {}]}`)
	f.Add("1e-99999999999")
	f.Fuzz(func(t *testing.T, text string) {
		if !json.Valid([]byte(text)) {
			return
		}
		once := canonical(json.RawMessage(text))
		if !json.Valid([]byte(once)) {
			t.Fatalf("canonical(%q) = %q, which is not JSON", text, once)
		}
		if again := canonical(json.RawMessage(once)); again != once {
			t.Errorf("canonical(%q) = %q, and of that %q", text, once, again)
		}
	})
}
