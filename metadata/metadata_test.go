package metadata

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func parse(t testing.TB, text string) Document {
	t.Helper()
	d, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("Parse(%s): %v", text, err)
	}
	return d
}

// initOf returns the Init section of a document that has only that.
func initOf(t testing.TB, section string) *Init {
	t.Helper()
	i, err := parse(t, `{"AWS::CloudFormation::Init": `+section+`}`).Init()
	if err != nil {
		t.Fatalf("Init of %s: %v", section, err)
	}
	return i
}

// configOf returns the config of a document that has only that.
func configOf(t testing.TB, config string) (Config, []*PathError, error) {
	t.Helper()
	i := initOf(t, `{"config": `+config+`}`)
	c, err := i.Config("config")
	return c, i.Warnings, err
}

func corpus(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/corpus/*.json")
	if err != nil || len(paths) != 35 {
		t.Fatalf("corpus: %d documents, %v; want 35", len(paths), err)
	}
	return paths
}

func TestParseRefusesWithPosition(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"empty":         {" \n", "the metadata is empty"},
		"empty string":  {`" "`, "the metadata is empty"},
		"list":          {"[]", "the metadata is a list: it must be a JSON object"},
		"cut short":     {`{"a": {"b": 1`, "line 1, column 13: the text ends too early"},
		"bad character": {"{\n \"a\": xsecret}", "line 2, column 7: a value belongs here"},
		"two documents": {"{} {}", "line 1, column 4: '{' where nothing more belongs"},
		"string inside": {`"[1]"`, "the metadata is a list: it must be a JSON object"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse(%q) = %v, want an error with %q", tt.text, err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "xsecret") {
				t.Errorf("Parse(%q) quotes the text: %v", tt.text, err)
			}
		})
	}
}

func TestParseTakesObjectInStringAndByteOrderMark(t *testing.T) {
	for _, text := range []string{`"{\"a\": 1}"`, "\ufeff{\"a\": 1}", " {\"a\": 1}\r\n"} {
		d := parse(t, text)
		if v, ok := d.Lookup("a"); !ok || string(v) != "1" {
			t.Errorf("Parse(%q).Lookup(a) = %s, %v, want 1", text, v, ok)
		}
	}
}

func TestCanonicalIsTheSameForTheSameMeaning(t *testing.T) {
	a := parse(t, `{"b": [1, 2], "a": {"y": "é<", "x": null}}`).Canonical()
	b := parse(t, "{\"a\":{\"x\":null,\"y\":\"\\u00e9\\u003c\"},\n\"b\":[1,2]}").Canonical()
	if string(a) != string(b) {
		t.Errorf("Canonical differs: %s and %s", a, b)
	}
}

func TestInitAbsent(t *testing.T) {
	for _, text := range []string{`{}`, `{"AWS::CloudFormation::Init": {}}`, `{"AWS::CloudFormation::Init": null}`} {
		if _, err := parse(t, text).Init(); !errors.Is(err, ErrNoInit) {
			t.Errorf("Init of %s = %v, want ErrNoInit", text, err)
		}
	}
}

// A document that is not what it should be most often is something near it.
func TestInitAbsentSaysWhatTheDocumentIs(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, err := parse(t, text).Init()
		if !errors.Is(err, ErrNoInit) || err.Error() != want {
			t.Errorf("Init of %s = %v\nwant an ErrNoInit: %s", text, err, want)
		}
	}
	const none = "the metadata has no AWS::CloudFormation::Init section"
	f(`{"a": 1}`, none+": add one to the resource's Metadata in the template")
	f(`{"AWS::CloudFormation::Init": {}}`, "the AWS::CloudFormation::Init section is empty: give it a config")
	f(`{"AWS::CloudFormation::Init": null}`, "the AWS::CloudFormation::Init section is empty: give it a config")
	f(`{"AWS::Cloudformation::init": {"config": {}}}`, none+`, but "AWS::Cloudformation::init": did you mean AWS::CloudFormation::Init?`)
	f(`{"AWS:CloudFormation:Init": {"config": {}}}`, none+`, but "AWS:CloudFormation:Init": did you mean AWS::CloudFormation::Init?`)
	f(`{"AWSTemplateFormatVersion": "2010-09-09", "Resources": {}}`, "this is a template: give the Metadata of one of its resources")
	f(`{"heat_template_version": "2018-08-31", "resources": {}}`, "this is a template: give the Metadata of one of its resources")
	f(`{"config": {"files": {}}}`, none+": config is to stand under it")
	f(`{"configSets": {}, "a": {}}`, none+": configSets is to stand under it")
	f(`{"files": {}}`, none+": files is to stand in a config under it")
}

// heat-cfntools died with a traceback when AWS::CloudFormation::Init, or a
// config, was not an object.
func TestInitOfWrongTypeNamesPath(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		i, err := parse(t, text).Init()
		if err == nil {
			_, err = i.Select("")
		}
		if err == nil || err.Error() != want {
			t.Errorf("Init of %s: %v, want %s", text, err, want)
		}
	}
	f(`{"AWS::CloudFormation::Init": "x"}`, "AWS::CloudFormation::Init: is a string: it must be an object of configs")
	f(`{"AWS::CloudFormation::Init": {"config": 7}}`,
		"config: is a number: it must be an object of sections: packages, groups, users, sources, files, commands, services")
	f(`{"AWS::CloudFormation::Init": {"configSets": ["a"]}}`, "configSets: is a list: it must be an object of sets")
	f(`{"AWS::CloudFormation::Init": {"configSets": {"default": [7]}}}`,
		`configSets.default[0]: is a number: it must be the name of a config, or {"ConfigSet": "NAME"}`)
	f(`{"AWS::CloudFormation::Init": {"configSets": {"default": {"configset": "b"}}}}`,
		`configSets.default: is an object: it must be the name of a config, or {"ConfigSet": "NAME"}`)
}

func TestCorpusDecodesWithoutWarning(t *testing.T) {
	for _, path := range corpus(t) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		i, err := parse(t, string(data)).Init()
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		configs, err := i.Select("")
		if err != nil || len(configs) != 1 || len(i.Warnings) != 0 {
			t.Errorf("%s: %d configs, warnings %v, error %v; want 1 config", path, len(configs), i.Warnings, err)
		}
	}
}

func TestSectionsAreInTheOrderInWhichTheyAreApplied(t *testing.T) {
	c, _, err := configOf(t, `{
		"packages": {"yum": {"z": [], "a": ["1", 2]}, "rubygems": {"r": "1.0"}, "python": {"p": {"version": "3", "venv": "/v"}}, "rpm": {"x": "http://h/x.rpm"}, "dpkg": {}},
		"groups": {"b": {}, "a": {"gid": 23}, "c": null},
		"users": {"u": {"uid": "50", "groups": ["a", "b"], "homeDir": "/tmp"}, "t": null},
		"sources": {"/z": "http://h/z.tgz", "/a": "http://h/a.tgz"},
		"files": {"/z": {"content": ""}, "/a": {"source": "http://h/a"}},
		"commands": {"2": {"command": "two"}, "10": {"command": ["ten", 10]}, "B": {"command": "b"}, "a": {}},
		"services": {"systemd": {"z": {"enabled": "true"}, "a": {"ensureRunning": false, "files": ["/a"], "packages": {"yum": ["a"]}}}}
	}`)
	if err != nil {
		t.Fatal(err)
	}
	yes, no := true, false
	want := Config{
		Name: "config",
		Packages: []PackageSet{
			{Manager: "dpkg"},
			{Manager: "rpm", Packages: []Package{{Name: "x", Versions: []string{"http://h/x.rpm"}}}},
			{Manager: "yum", Packages: []Package{{Name: "z"}, {Name: "a", Versions: []string{"1", "2"}}}},
			{Manager: "python", Packages: []Package{{Name: "p", Versions: []string{"3"}, Venv: "/v"}}},
			{Manager: "rubygems", Packages: []Package{{Name: "r", Versions: []string{"1.0"}}}},
		},
		Groups:  []Group{{Name: "a", GID: "23"}, {Name: "b"}, {Name: "c"}},
		Users:   []User{{Name: "t"}, {Name: "u", UID: "50", Groups: []string{"a", "b"}, Home: "/tmp"}},
		Sources: []Source{{Dir: "/a", URL: "http://h/a.tgz"}, {Dir: "/z", URL: "http://h/z.tgz"}},
		Files:   []File{{Path: "/a", Source: "http://h/a"}, {Path: "/z", Content: []byte{}, HasContent: true}},
		Commands: []Command{
			{Name: "10", Command: CommandLine{Args: []string{"ten", "10"}}},
			{Name: "2", Command: CommandLine{Shell: "two"}},
			{Name: "B", Command: CommandLine{Shell: "b"}},
			{Name: "a"},
		},
		Services: []ServiceSet{{Manager: "systemd", Services: []Service{
			{Name: "z", Enabled: &yes},
			{Name: "a", EnsureRunning: &no, Files: []string{"/a"}, Packages: map[string][]string{"yum": {"a"}}},
		}}},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("config = %+v\nwant     %+v", c, want)
	}
}

// heat-cfntools' to_boolean, and the same words as its own tests have.
func TestBoolean(t *testing.T) {
	f := func(text string, want bool) {
		t.Helper()
		c, _, err := configOf(t, `{"services": {"systemd": {"s": {"enabled": `+text+`}}}}`)
		if err != nil || *c.Services[0].Services[0].Enabled != want {
			t.Errorf("enabled %s = %v, %v, want %v", text, c, err, want)
		}
	}
	for _, text := range []string{`true`, `1`, `"true"`, `"TRUE"`, `" yes "`, `"1"`, `"y"`} {
		f(text, true)
	}
	for _, text := range []string{`false`, `0`, `2`, `"false"`, `"no"`, `"0"`, `"None"`, `"fingle"`, `""`} {
		f(text, false)
	}
}

func TestUnknownKeysAreWarnedWithPathAndNearest(t *testing.T) {
	_, warnings, err := configOf(t, `{"file": {}, "files": {"/etc/x": {"content": "", "mod": "000644"}}, "services": {"systemd": {"s": {"commnads": [], "zzz": 1}}}}`)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"config.file: unknown key (did you mean files?)",
		`config.files["/etc/x"].mod: unknown key (did you mean mode?)`,
		"config.services.systemd.s.commnads: unknown key (did you mean commands?)",
		"config.services.systemd.s.zzz: unknown key (known are commands, enabled, ensureRunning, files, groups, packages, sources, users)",
	}
	var got []string
	for _, w := range warnings {
		got = append(got, w.Error())
		if want := w.Error() + ": ignored"; w.Warning() != want {
			t.Errorf("Warning() = %q, want %q", w.Warning(), want)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("warnings %q\nwant %q", got, want)
	}
}

// full has every key of every section, with a right value.
const full = `{
  "AWS::CloudFormation::Authentication": {"s3": {"type": "S3", "accessKeyId": "A", "secretKey": "S", "buckets": ["b"], "endpoint": "h"},
    "web": {"type": "basic", "username": "u", "password": "p", "uris": ["h"]}},
  "AWS::CloudFormation::Init": {
    "configSets": {"default": ["config", {"ConfigSet": "more"}], "more": "config"},
    "config": {
      "packages": {"yum": {"a": ["1"]}, "apt": {"package": "1"}, "python": {"p": {"version": "1", "venv": "/v"}}},
      "groups": {"g": {"gid": "1"}},
      "users": {"u": {"uid": "1", "groups": ["g"], "homeDir": "/h"}},
      "sources": {"/s": "http://h/s.tgz"},
      "files": {"/f": {"content": "c", "encoding": "plain", "context": {"variable": "b"}, "mode": "000644", "owner": "o", "group": "g"},
        "/g": {"source": "http://h/g", "authentication": "web", "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}},
      "commands": {"c": {"command": "x", "test": ["y"], "env": {"A": "b"}, "cwd": "/", "ignoreErrors": "true", "runas": "u", "timeout": 5, "waitAfterCompletion": 1}},
      "services": {"systemd": {"s": {"enabled": "true", "ensureRunning": true, "files": ["/f"], "sources": ["/s"], "commands": ["c"], "groups": ["g"], "users": ["u"], "packages": {"yum": ["a"]}}}}
    }}}`

// A wrong type at every key of a full document: either it is taken (a number
// for a string, a single value for a list), or the error is one line that
// names the path. Nothing panics, and nothing wrong of its kind is taken: an
// object or list where a single value belongs is always refused.
func TestWrongTypeAtEveryKey(t *testing.T) {
	var root any
	if err := json.Unmarshal([]byte(full), &root); err != nil {
		t.Fatal(err)
	}
	if err := decodeAll(t, root); err != nil {
		t.Fatalf("the full document: %v", err)
	}
	tried := 0
	wrong := []any{nil, true, 7.0, "x", []any{}, []any{map[string]any{}}, []any{[]any{}}, map[string]any{}, map[string]any{"k": map[string]any{"k": []any{nil}}}}
	walk(root, func(parent any, key any, old any) {
		for _, value := range wrong {
			set(parent, key, value)
			err := decodeAll(t, root)
			tried++
			if err != nil && (strings.ContainsAny(err.Error(), "\n") || !strings.Contains(err.Error(), ": ")) {
				t.Errorf("%v = %v: %q is not one line with a path", key, value, err)
			}
			_, scalar := old.(string)
			_, list := value.([]any)
			_, object := value.(map[string]any)
			composite := list && len(value.([]any)) > 0 || object && len(value.(map[string]any)) > 0
			// Content and what a template is given may be any JSON; a package
			// may have an object, whose keys are warned about.
			free := key == "content" || key == "variable" || key == "package"
			if err == nil && scalar && composite && !free {
				t.Errorf("%v = %v is taken where %v belongs", key, value, old)
			}
		}
		set(parent, key, old)
	})
	if tried < 500 {
		t.Errorf("only %d documents were tried", tried)
	}
}

func decodeAll(t testing.TB, root any) error {
	t.Helper()
	data, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Parse(data)
	if err != nil {
		return err
	}
	d.Secrets()
	i, err := d.Init()
	if err != nil && !strings.Contains(err.Error(), ": ") {
		err = &PathError{"Init", err}
	}
	if err != nil {
		return err
	}
	_, err = i.Select("")
	if err != nil && !strings.Contains(err.Error(), ": ") {
		err = &PathError{"Select", err}
	}
	return err
}

func walk(v any, visit func(parent, key, old any)) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			visit(v, k, e)
			walk(e, visit)
		}
	case []any:
		for i, e := range v {
			visit(v, i, e)
			walk(e, visit)
		}
	}
}

func set(parent, key, value any) {
	switch p := parent.(type) {
	case map[string]any:
		p[key.(string)] = value
	case []any:
		p[key.(int)] = value
	}
}

func FuzzDocument(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte(`{"AWS::CloudFormation::Init": {"configSets": {"a": [{"ConfigSet": "a"}]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Parse(data)
		if err != nil {
			return
		}
		again, err := Parse(d.Canonical())
		if err != nil || string(again.Canonical()) != string(d.Canonical()) {
			t.Errorf("canonical form of %q is not stable: %v", data, err)
		}
		d.Secrets()
		i, err := d.Init()
		if err != nil {
			return
		}
		for _, name := range i.Configs() {
			if _, err := i.Config(name); err != nil && strings.Contains(err.Error(), "\n") {
				for _, line := range strings.Split(err.Error(), "\n") {
					if !strings.Contains(line, ": ") {
						t.Errorf("line without a path: %q", err)
					}
				}
			}
		}
		_, _ = i.Select("")
	})
}
