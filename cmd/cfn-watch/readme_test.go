package main

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cfn-agent/cfn-agent/watch/rules"
)

// block is the text in README.md between a line of backquotes with a language
// and the next one, that begins with some words.
func block(t *testing.T, language, begin string) string {
	t.Helper()
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(data), "\n```"+language+"\n"+begin)
	text, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatalf("README.md has no %s that begins with %s", language, begin)
	}
	return begin + text
}

func TestConfigurationInREADMEIsTheDefault(t *testing.T) {
	text := block(t, "ini", "[server]")
	got, err := parseConfig("README.md", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want, err := parseConfig("README.md", nil)
	if err != nil {
		t.Fatal(err)
	}
	want.alarms.asked = got.alarms.asked // it is named
	if !reflect.DeepEqual(got, want) {
		t.Errorf("README.md says %+v\nthe defaults are %+v", got, want)
	}
	for section, keys := range got.sections() {
		for key := range keys {
			if !strings.Contains(text, "\n"+key+" =") {
				t.Errorf("README.md lacks %s of [%s]", key, section)
			}
		}
	}
}

// The first line of a section says which of its keys take a restart.
func TestRestartsInREADME(t *testing.T) {
	text := block(t, "ini", "[server]")
	runs, next := defaults("/a"), defaults("/b")
	for _, value := range next.fixed() {
		*value = "another"
	}
	next.server.jsonLog, next.keystone.cloud = true, "another"
	want := map[string][]string{}
	for _, name := range next.keep(runs) {
		section, key, _ := strings.Cut(name, " ")
		want[section] = append(want[section], key)
	}
	for section, keys := range runs.sections() {
		section = "[" + section + "]"
		_, rest, _ := strings.Cut(text, section+"\n")
		line, _, _ := strings.Cut(rest, "\n")
		var got []string
		if line == "# all keys take a restart" {
			got = []string{""}
		} else if strings.Contains(line, " a restart") {
			for _, word := range strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == ',' || r == ':' }) {
				if keys[word] != nil {
					got = append(got, word)
				}
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want[section]) {
			t.Errorf("README.md says that of %s %q take a restart, want %q", section, got, want[section])
		}
	}
}

func TestRuleInREADMEIsOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, []byte(block(t, "yaml", "web-Heartbeat:")), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := rules.Load(rules.Options{Execs: []string{"restart-web"}}, path)
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Rules) != 1 || set.Rules[0].Alarm.Silence().String() != "2m15s" {
		t.Errorf("README.md's rule is %+v, want one with a silence of 135 s", set.Rules)
	}
}

// What help shows is right: cases that pass with the rule of README.md, and a
// line for each field that is ours.
func TestHelpOfRules(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var out strings.Builder
	_, cases, _ := strings.Cut(newTestCommand(&global{}).Long, "\n\n")
	if err := testRules(t.Context(), &out, put("rules.yaml", block(t, "yaml", "web-Heartbeat:")), put("cases.yaml", cases)); err != nil || out.String() != "ok: 1 cases\n" {
		t.Errorf("the cases of help: %s%v", &out, err)
	}
	text := newCheckCommand(&global{}).Long
	for _, name := range []string{"Project", "Stack", "Tolerance", "Match", "Repeat", "StartAfter", "Range", "Legacy", "Target"} {
		if !strings.Contains(text, "\n  "+name+" ") {
			t.Errorf("help of check does not tell what %s is", name)
		}
	}
}
