package main

import (
	"encoding/csv"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// built are the tools of the corpus that this program is.
var built = map[string]bool{"cfn-init": true, "cfn-signal": true, "cfn-create-aws-symlinks": true, "cfn-get-metadata": true, "cfn-hup": true, "cfn-push-stats": true}

type invocation struct {
	tool, path string
	args       []string
}

// invocations are the command lines of Heat's own templates, split as the
// shell splits them.
func invocations(t *testing.T) []invocation {
	t.Helper()
	f, err := os.Open("testdata/invocations.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma, r.LazyQuotes = '\t', true
	rows, err := r.ReadAll()
	if err != nil || len(rows) != 57 {
		t.Fatalf("%d rows, %v, want 56 and a header", len(rows), err)
	}
	var list []invocation
	for _, row := range rows[1:] {
		cmd := exec.Command("/bin/sh", "-c", `set -- `+row[2]+`; for a; do printf '%s\0' "$a"; done`, "sh", "it's failed")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", row[2], err)
		}
		args := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
		if len(out) == 0 {
			args = nil
		}
		list = append(list, invocation{tool: row[0], path: row[1], args: args})
	}
	return list
}

// parsed is what argparse makes of a command line, by the definitions of
// heat-cfntools 1.4.2: options by their long names, positionals under "".
func parsed(tool string, args []string) map[string]string {
	short := map[string]map[string]string{
		"cfn-init":                {"-s": "stack", "-r": "resource", "-c": "configsets"},
		"cfn-signal":              {"-s": "success", "-r": "reason", "-d": "data", "-i": "id", "-e": "exit-code", "-k": "insecure"},
		"cfn-create-aws-symlinks": {"-t": "target", "-s": "source", "-f": "force"},
		"cfn-hup":                 {"-c": "config", "-f": "no-daemon", "-v": "verbose"},
		"cfn-push-stats":          {"-v": "verbose"},
	}[tool]
	switches := map[string]bool{"force": true, "insecure": true, "no-daemon": true, "verbose": true}
	for _, name := range []string{
		"service-failure", "heartbeat", "mem-util", "mem-used", "mem-avail", "swap-util", "swap-used", "disk-space-util",
		"disk-space-used", "disk-space-avail", "cpu-util", "haproxy", "haproxy-latency",
	} {
		switches[name] = true
	}
	got := map[string]string{}
	for i := 0; i < len(args); i++ {
		name, ok := short[args[i]]
		if !ok {
			name, ok = strings.CutPrefix(args[i], "--")
		}
		switch {
		case !ok:
			got[""] = args[i]
		case switches[name]:
			got[name] = "true"
		default:
			i++
			got[name] = args[i]
		}
	}
	return got
}

func TestInvocationsOfCorpusParseAsBefore(t *testing.T) {
	count := 0
	for _, in := range invocations(t) {
		if !built[in.tool] {
			continue
		}
		count++
		var got map[string]string
		c := commandFor(filepath.Base(in.path), &env{})
		c.RunE = func(c *cobra.Command, args []string) error {
			got = map[string]string{}
			c.Flags().Visit(func(f *pflag.Flag) { got[f.Name] = f.Value.String() })
			if len(args) == 1 {
				got[""] = args[0]
			}
			return nil
		}
		args, err := expandArgs(c, in.args)
		if err == nil {
			c.SetArgs(append([]string{}, args...))
			err = c.Execute()
		}
		if want := parsed(in.tool, in.args); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s %q: got %q, %v, want %q", in.tool, in.args, got, err, want)
		}
	}
	if count < 56 {
		t.Errorf("only %d command lines were tried", count)
	}
}
