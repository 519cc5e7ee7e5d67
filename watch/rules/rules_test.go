package rules

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/cfn-agent/cfn-agent/watch"
)

var update = flag.Bool("update", false, "rewrite what testdata wants by what there is")

// TestScripts runs the archives in testdata: rule files, perhaps cases.yaml,
// and want, which is all that is said of them.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			dir, want := t.TempDir(), -1
			for i, f := range archive.Files {
				if f.Name == "want" {
					want = i
					continue
				}
				if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got := strings.ReplaceAll(said(t, dir), dir+"/", "")
			if *update {
				archive.Files[want].Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(archive.Files[want].Data) {
				t.Errorf("got\n%s\nwant\n%s", got, archive.Files[want].Data)
			}
		})
	}
}

// said is all that is said of the rules in a folder and their tests.
func said(t *testing.T, dir string) string {
	t.Helper()
	cases := filepath.Join(dir, "cases.yaml")
	rules, err := filepath.Glob(filepath.Join(dir, "[^c]*"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Load(Options{Execs: []string{"fence", "page-me"}}, rules...)
	if err != nil {
		return err.Error() + "\n"
	}
	if _, err := os.Stat(cases); err != nil {
		return ""
	}
	list, err := LoadCases(s, cases)
	if err != nil {
		return err.Error() + "\n"
	}
	failed, err := Test(t.Context(), s, list)
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for _, f := range failed {
		lines.WriteString(f.String() + "\n")
	}
	return lines.String()
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func loaded(t *testing.T, text string) *Set {
	t.Helper()
	s, err := Load(Options{}, write(t, filepath.Join(t.TempDir(), "a.yaml"), text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const everyField = `
Defaults: {Project: p1, Namespace: system/linux, OKActions: [https://example.com/ok], ActionsEnabled: yes}
Load:
  AlarmName: web/Load
  ActionsEnabled: "false"
  AlarmActions: ["cfnwatch:exec:fence", 'https://example.com/a?b=c']
  AlarmDescription: "Load of web"
  ComparisonOperator: GreaterThanOrEqualToThreshold
  DatapointsToAlarm: '2'
  Dimensions: {b: "2", a: 1}
  EvaluationPeriods: 3
  InsufficientDataActions: []
  MetricName: Load
  Namespace: web
  Period: 5m
  Statistic: Average
  Tags: [{Key: owner, Value: ops}]
  Threshold: -1.5e3
  TreatMissingData: ignore
  Unit: percent
  Ladder: legacy
  Legacy: true
  Match: exact
  Range: 4
  Repeat: 1h30m
  Stack: "*"
  StartAfter: 300
  Target: stack/web/server
  Tolerance: 0s
`

func TestLoadEveryField(t *testing.T) {
	s := loaded(t, everyField)
	want := watch.Alarm{Project: "p1", Name: "web/Load", Description: "Load of web", Namespace: "web", Metric: "Load", Unit: "Percent",
		Dimensions: []watch.Dimension{{Name: "b", Value: "2"}, {Name: "a", Value: "1"}}, Statistic: watch.Average, Period: 5 * time.Minute,
		Periods: 3, Datapoints: 2, Threshold: -1500, Comparison: watch.GreaterOrEqual, Missing: watch.MissingIgnore,
		OnAlarm: []string{"cfnwatch:exec:fence", "https://example.com/a?b=c"}, OnOK: []string{"https://example.com/ok"},
		Stack: "*", Legacy: true, Range: 4, StartAfter: 5 * time.Minute, Ladder: "legacy", Target: "stack/web/server",
		Match: watch.MatchExact, Repeat: 90 * time.Minute, Origin: watch.FromRules, Tags: map[string]string{"owner": "ops"}}
	if len(s.Rules) != 1 || !strings.HasSuffix(s.Rules[0].Alarm.File, "a.yaml:3") {
		t.Fatalf("loaded %+v, want one rule of line 3", s.Rules)
	}
	want.File = s.Rules[0].Alarm.File
	if got := s.Rules[0].Alarm; !reflect.DeepEqual(got, want) {
		t.Errorf("loaded %+v,\nwant %+v", got, want)
	}
	for name := range fields {
		if !strings.Contains(everyField, "\n  "+name+":") && name != "Project" && name != "OKActions" {
			t.Errorf("the test says nothing of %s", name)
		}
	}
}

const heartbeat = `
Defaults: {Project: p1, Namespace: system/linux, Period: 60, EvaluationPeriods: 1, Threshold: 1}
web-Heartbeat:
  Stack: web
  MetricName: Heartbeat
  Statistic: SampleCount
  ComparisonOperator: LessThanThreshold
  TreatMissingData: breaching
  AlarmActions: [cfnwatch:notify]
`

// JSON is read as YAML is, and what a rule does not say has the defaults of
// rules: actions on, and dimensions matched as old Heat did.
func TestLoadJSON(t *testing.T) {
	s := loaded(t, `{"h": {"Project": "p1", "Namespace": "n", "MetricName": "m", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1,
		"Threshold": 0, "ComparisonOperator": "GreaterThanThreshold", "Dimensions": [{"Name": "a", "Value": "b"}], "Repeat": "never", "StartAfter": "first-sample"}}`)
	a := s.Rules[0].Alarm
	if !a.ActionsEnabled || a.Match != watch.MatchSubset || a.Repeat != 0 || a.StartAfter != 0 ||
		!reflect.DeepEqual(a.Dimensions, []watch.Dimension{{Name: "a", Value: "b"}}) {
		t.Errorf("loaded %+v", a)
	}
}

func TestLoadFolder(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"b.yaml": strings.ReplaceAll(heartbeat, "web", "b"), "a.yml": strings.ReplaceAll(heartbeat, "web", "a"), "c.json": "{}", "empty.yaml": "# nothing yet\n",
		".hidden.yaml": "wrong", "README": "wrong", "b.yaml~": "wrong",
	} {
		write(t, filepath.Join(dir, name), text)
	}
	s, err := Load(Options{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range s.Rules {
		names = append(names, r.Alarm.Name)
	}
	if want := []string{"a-Heartbeat", "b-Heartbeat"}; !reflect.DeepEqual(names, want) {
		t.Errorf("loaded %q, want %q", names, want)
	}
	if _, err := Load(Options{}, filepath.Join(dir, "none")); !os.IsNotExist(unwrapped(err)) {
		t.Errorf("Load of a folder that is not there = %v", err)
	}
}

func unwrapped(err error) error {
	for {
		next, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		err = next.Unwrap()
	}
}
