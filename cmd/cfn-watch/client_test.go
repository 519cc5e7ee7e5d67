package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/admin"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

// What projects and guests write is shown to operators, and commands neither
// their terminal nor makes lines of its own in a table.
func TestTablesShowNoControlCharacters(t *testing.T) {
	const evil = "a\x1b]0;title\x07\u009b31m\u202eb\r\n2026-01-01\tp2/x\tALARM\x7f\u2028c"
	born := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	answer, err := json.Marshal([]outbox.Explained{{Project: evil, Alarm: "über — Ж", Action: evil, Why: evil, Born: born, Tries: 1 << 60}})
	if err != nil {
		t.Fatal(err)
	}
	var list []outbox.Explained
	if err := readable(answer, &list); err != nil {
		t.Fatal(err)
	}
	if got := list[0]; got.Alarm != "über — Ж" || !got.Born.Equal(born) || got.Tries != 1<<60 {
		t.Errorf("what can be seen has changed: %+v", got)
	}
	var shown bytes.Buffer
	w := tabwriter.NewWriter(&shown, 0, 0, 2, ' ', 0)
	showActions(w, list)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	text := shown.String()
	if lines := strings.Count(text, "\n"); lines != 2 || strings.ContainsAny(text, "\x1b\x07\u009b\u202e\r\t\x7f\u2028") {
		t.Errorf("%d lines, want 2, and nothing that cannot be seen: %q", lines, text)
	}
	if err := readable([]byte("{"), new(admin.Status)); err == nil {
		t.Error("half an answer was read")
	}
}

// Status 2 tells a mistake of typing from what the server refuses.
func TestMistakesOfTypingHaveTheirStatus(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	e := &env{stdout: null, stderr: null, environ: []string{"STATE_DIRECTORY=" + t.TempDir()}}
	for _, line := range []string{"frobnicate", "status -o xml", "status extra", "alarms --state ALRM", "issue-key", "suspend", "suspend all --for 10"} {
		if got := run(t.Context(), e, strings.Fields(line)); got != statusUsage {
			t.Errorf("%s ends with %d, want %d", line, got, statusUsage)
		}
	}
	if got := run(t.Context(), e, []string{"status"}); got != statusFailed {
		t.Errorf("status without a server ends with %d, want %d", got, statusFailed)
	}
}

// prints runs a command over the running server, and returns what it prints.
func (r *running) prints(args ...string) string {
	r.t.Helper()
	out, err := os.Create(filepath.Join(r.dir, "out"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer out.Close()
	e := &env{stdout: out, stderr: os.Stderr, environ: []string{configVariable + "=" + filepath.Join(r.dir, "conf")}}
	if got := run(r.t.Context(), e, args); got != 0 {
		r.t.Fatalf("%s ends with %d", args, got)
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// define makes an alarm that nothing feeds.
func (r *running) define(project, name string) {
	r.t.Helper()
	_, err := r.engine.Define(r.t.Context(), time.Now(), watch.Caller{Role: watch.Operator, Project: project}, watch.Alarm{
		Project: project, Name: name, Namespace: "n", Metric: "m", Statistic: watch.Sum, Comparison: watch.Greater,
		Period: time.Minute, Periods: 1, Origin: watch.FromRules})
	if err != nil {
		r.t.Fatal(err)
	}
}

// A state is typed in small letters too, also where it is asked for.
func TestStatesInSmallLetters(t *testing.T) {
	r := start(t)
	r.define("p", "web")
	if got, want := r.prints("set-state", "web", "alarm"), "alarm web is in state ALARM\n"; got != want {
		t.Errorf("set-state says %q, want %q", got, want)
	}
	if v, _ := r.engine.View(time.Now(), "p", "web"); v.State != watch.Firing {
		t.Errorf("the alarm is in state %s, want ALARM", v.State)
	}
	for state, want := range map[string]int{"alarm": 1, "ok": 0} {
		var list []admin.Alarm
		if err := json.Unmarshal([]byte(r.prints("alarms", "--state", state, "-o", "json")), &list); err != nil || len(list) != want {
			t.Errorf("alarms in state %s are %+v, %v, want %d", state, list, err, want)
		}
	}
}

// Names of alarms are completed as the commands take them: with the project
// where several have one of that name, or where it was typed, which once was
// answered with names that do not begin with it.
func TestNamesAreCompleted(t *testing.T) {
	r := start(t)
	for _, project := range []string{"p", "q"} {
		r.define(project, "both")
	}
	r.define("q", "one")
	const noFiles = "\n:4\n"
	for _, command := range []string{"history", "explain", "set-state", "test-action"} {
		for _, tt := range []struct {
			args []string
			want string
		}{
			{[]string{""}, "p/both\nq/both\none" + noFiles},
			{[]string{"o"}, "one" + noFiles},
			{[]string{"bo"}, "p/both\nq/both" + noFiles},
			{[]string{"q/"}, "q/both\nq/one" + noFiles},
			{[]string{"x"}, noFiles[1:]},
			{[]string{"one", ""}, noFiles[1:]},
		} {
			if got := r.prints(append([]string{"__complete", command}, tt.args...)...); got != tt.want {
				t.Errorf("%s %q is completed with %q, want %q", command, tt.args, got, tt.want)
			}
		}
	}
}

// A list is the same array of JSON however many there are, and a table has all
// of them.
func TestListsArePrintedAsTheyCome(t *testing.T) {
	r := start(t)
	if got := r.prints("alarms", "-o", "json"); got != "[]\n" {
		t.Errorf("no alarms are %q", got)
	}
	const many = rowsAtOnce + 3
	for i := range many {
		r.define("p", fmt.Sprintf("a%04d", i))
	}
	text := r.prints("alarms", "-o", "json")
	var list []admin.Alarm
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) != many || list[many-1].Name != "a1002" {
		t.Errorf("%d alarms, %v, want %d", len(list), err, many)
	}
	var whole bytes.Buffer
	if err := json.Indent(&whole, []byte(text), "", "  "); err != nil || whole.String() != text {
		t.Errorf("the list is not indented as one: %v", err)
	}
	if lines := strings.Split(r.prints("alarms"), "\n"); len(lines) != many+2 || !strings.HasPrefix(lines[many], "p        a1002") && !strings.HasPrefix(lines[many], "p  a1002") {
		t.Errorf("the table has %d lines, want %d; the last alarm is %q", len(lines), many+2, lines[min(many, len(lines)-1)])
	}
}
