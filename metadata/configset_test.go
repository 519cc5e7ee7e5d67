package metadata

import (
	"reflect"
	"strings"
	"testing"
)

func names(configs []Config) []string {
	var list []string
	for _, c := range configs {
		list = append(list, c.Name)
	}
	return list
}

// heat-cfntools read a set given as a bare string letter by letter, and died
// on every {"ConfigSet": ...} under Python 3.
func TestSelectExpandsSets(t *testing.T) {
	const section = `{
		"configSets": {
			"default": ["a", {"ConfigSet": "nested"}, "a"],
			"nested": [{"ConfigSet": "bare"}, "c"],
			"bare": "b",
			"reference": {"ConfigSet": "nested"},
			"empty": []
		}, "a": {}, "b": {}, "c": {}}`
	tests := map[string][]string{
		"":                      {"a", "b", "c", "a"},
		"default":               {"a", "b", "c", "a"},
		"bare":                  {"b"},
		"reference":             {"b", "c"},
		" bare , nested,":       {"b", "b", "c"},
		"empty,bare":            {"b"},
		"bare,reference,nested": {"b", "b", "c", "b", "c"},
	}
	for sets, want := range tests {
		configs, err := initOf(t, section).Select(sets)
		if err != nil || !reflect.DeepEqual(names(configs), want) {
			t.Errorf("Select(%q) = %v, %v, want %v", sets, names(configs), err, want)
		}
	}
}

func TestSelectRefusesBeforeAnythingRuns(t *testing.T) {
	f := func(section, sets, want string) {
		t.Helper()
		_, err := initOf(t, section).Select(sets)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Select(%q) of %s = %v, want an error with %q", sets, section, err, want)
		}
	}
	f(`{"other": {}}`, "", `neither configSets nor a config named "config": its configs are other`)
	f(`{"configs": {}}`, "", `its configs are configs: did you mean config?`)
	f(`{"configsets": {}, "a": {}}`, "", `its configs are configsets, a: did you mean configSets?`)
	f(`{"config": {}}`, "x", "unknown configSet x: the metadata has no configSets")
	f(`{"configSets": {"a": ["c"]}, "c": {}}`, "", `unknown configSet "default": the metadata has a: name one with --configsets`)
	f(`{"configSets": {"a": ["c"]}, "c": {}}`, "a,b", `unknown configSet "b"`)
	f(`{"configSets": {"a": ["c", "d"]}, "c": {}}`, "a", `configSets.a[1]: unknown config "d": the metadata has c`)
	f(`{"configSets": {"a": [{"ConfigSet": "d"}]}, "c": {}}`, "a", `configSets.a[0].ConfigSet: unknown configSet "d"`)
	f(`{"configSets": {"a": [{"ConfigSet": "b"}], "b": [{"ConfigSet": "c"}], "c": [{"ConfigSet": "b"}]}}`, "a",
		"configSets.b: contains itself: b -> c -> b")
	f(`{"configSets": {"a": []}, "c": {}}`, "a", "configSets a hold no config")
}

// Sets that double at each level must not eat the machine.
func TestSelectBoundsNestedSets(t *testing.T) {
	section := `{"c": {}, "configSets": {"s0": ["c"]`
	for i := range 40 {
		ref := `{"ConfigSet": "s` + string(rune('0'+i/10)) + string(rune('0'+i%10)) + `"}`
		if i == 0 {
			ref = `{"ConfigSet": "s0"}`
		}
		next := `s` + string(rune('0'+(i+1)/10)) + string(rune('0'+(i+1)%10))
		section += `, "` + next + `": [` + ref + `, ` + ref + `]`
	}
	_, err := initOf(t, section+`}}`).Select("s40")
	if err == nil || !strings.Contains(err.Error(), "expands to more than") {
		t.Errorf("Select of 2^40 configs = %v, want a refusal", err)
	}
}

// A config that is not selected is not read: templates may hold what another
// program reads.
func TestSelectReadsOnlyWhatIsSelected(t *testing.T) {
	i := initOf(t, `{"configSets": {"default": ["a"]}, "a": {}, "broken": {"files": 7}}`)
	if _, err := i.Select(""); err != nil {
		t.Errorf("Select = %v, want no error", err)
	}
	if _, err := i.Config("broken"); err == nil {
		t.Error("Config(broken) = nil, want an error")
	}
}
