package rules

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/rogpeppe/go-internal/txtar"
)

// seeds adds the files of the archives in testdata.
func seeds(f *testing.F, cases bool) {
	f.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, in := range archive.Files {
			if in.Name != "want" && (in.Name == "cases.yaml") == cases {
				f.Add(in.Data)
			}
		}
	}
}

// What is wrong is told in lines with the file; what is not is alarms that the
// server takes.
func FuzzRules(f *testing.F) {
	seeds(f, false)
	f.Add([]byte(everyField))
	f.Add([]byte("a: &a {Dimensions: [*a]}\nb: *a\n<<: *a\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var wrong mistakes
		rules := parse("a.yaml", data, Options{}, &wrong)
		if err := wrong.err(); err != nil {
			checkLines(t, err)
			return
		}
		for _, r := range rules {
			if err := r.Alarm.Check(); err != nil {
				t.Errorf("%+v was taken: %v", r.Alarm, err)
			}
			if r.Alarm.Project == "" || !strings.HasPrefix(r.Alarm.File, "a.yaml:") {
				t.Errorf("%+v has no project or file", r.Alarm)
			}
		}
	})
}

func FuzzCases(f *testing.F) {
	seeds(f, true)
	f.Add([]byte("\"a\\x7f\\x85\": []\n\"b\\x7f\": {\"c\\x7f\": 1}\n"))
	path := filepath.Join(f.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, []byte(heartbeat), 0o600); err != nil {
		f.Fatal(err)
	}
	s, err := Load(Options{}, path)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var wrong mistakes
		for _, c := range parseCases(s, "c.yaml", data, &wrong) {
			for i, st := range c.steps {
				if st.after < 0 || st.after > longest || i > 0 && st.after < c.steps[i-1].after {
					t.Errorf("a step at %s, after one at %s", st.after, c.steps[max(i-1, 0)].after)
				}
			}
		}
		if err := wrong.err(); err != nil {
			checkLines(t, err)
		}
	})
}

func checkLines(t *testing.T, err error) {
	t.Helper()
	e := err.(*Error)
	for _, m := range e.Mistakes {
		if line := m.String(); m.What == "" || m.Line < 0 || strings.ContainsFunc(line, unicode.IsControl) {
			t.Errorf("a mistake is told as %q", line)
		}
	}
}
