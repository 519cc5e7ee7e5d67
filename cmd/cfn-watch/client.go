package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/cfn-agent/cfn-agent/watch/admin"
)

// newCommands returns the commands in the order of their help.
func newCommands(g *global) []*cobra.Command {
	list := []*cobra.Command{newServeCommand(g), newCheckCommand(g), newTestCommand(g)}
	for _, c := range []*cobra.Command{
		newStatusCommand(g), newAlarmsCommand(g), newActionsCommand(g), newHistoryCommand(g), newExplainCommand(g),
		newSuspendCommand(g), newResumeCommand(g), newSetStateCommand(g), newTestActionCommand(g), newResetCommand(g),
		newIssueKeyCommand(g), newListKeysCommand(g), newRevokeKeyCommand(g), newBackupCommand(g),
	} {
		c.Flags().VarP(&g.output, "output", "o", "table, for people, or json, for programs")
		list = append(list, c)
	}
	return list
}

// A format is how answers are printed.
type format string

// String is the format's name.
func (f *format) String() string { return string(*f) }

// Set takes a format by its name.
func (f *format) Set(v string) error {
	if v != "table" && v != "json" {
		return errors.New("it is table or json")
	}
	*f = format(v)
	return nil
}

// Type is what help calls it.
func (f *format) Type() string { return "format" }

// client calls the server that the configuration tells of, which may have come by
// mistakes since the server read it.
func (g *global) client() (admin.Client, error) {
	conf, err := g.load()
	if conf == nil {
		return admin.Client{}, err
	}
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		fmt.Fprintf(g.stderr, "cfn-watch: warning: the configuration has mistakes: %s\n", first)
	}
	return admin.Client{Socket: conf.socketPath()}, nil
}

// ask asks the server and prints its answer, as JSON or by table.
func ask[Out any](g *global, c *cobra.Command, name string, in any, table func(w io.Writer, out Out)) error {
	client, err := g.client()
	if err != nil {
		return err
	}
	var answer json.RawMessage
	if err := client.Call(c.Context(), name, in, &answer); err != nil {
		return err
	}
	if g.output == "json" {
		enc := json.NewEncoder(g.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(answer)
	}
	var out Out
	if err := readable(answer, &out); err != nil {
		return err
	}
	w := newTable(g.stdout)
	table(w, out)
	return w.Flush()
}

func newTable(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

// readable decodes an answer for people: in no text of it is anything but what
// can be seen. Projects and guests write some of them, and neither a terminal
// nor the lines of a table are theirs.
func readable(answer []byte, out any) error {
	var any any
	dec := json.NewDecoder(bytes.NewReader(answer))
	dec.UseNumber()
	if err := dec.Decode(&any); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	clean, err := json.Marshal(seen(any))
	if err != nil {
		return err
	}
	return json.Unmarshal(clean, out)
}

func seen(v any) any {
	switch v := v.(type) {
	case string:
		return strings.Map(func(r rune) rune {
			switch {
			case unicode.IsSpace(r):
				return ' '
			case !unicode.IsGraphic(r):
				return utf8.RuneError
			}
			return r
		}, v)
	case []any:
		for i := range v {
			v[i] = seen(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = seen(v[k])
		}
	}
	return v
}

// said prints a line about something that was done.
func said[Out any](text string, args ...any) func(io.Writer, Out) {
	return func(w io.Writer, _ Out) { fmt.Fprintf(w, text+"\n", args...) }
}

// clock is a time as tables show it; none is a dash.
func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// ago is how long before now a time was, as tables show it.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return now.Sub(t).Round(time.Second).String() + " ago"
}

// orDash is a text, or a dash where there is none.
func orDash[S ~string](s S) string {
	if s == "" {
		return "-"
	}
	return string(s)
}

// mostCompletions are more than anybody reads.
const mostCompletions = 1000

var errEnough = errors.New("enough")

// completeAlarms completes the names of alarms from the running server.
func (g *global) completeAlarms(c *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var list []admin.Alarm
	err := each(g, c, "alarms", admin.AlarmsRequest{Prefix: prefix}, func(a admin.Alarm) error {
		if list = append(list, a); len(list) == mostCompletions {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, cobra.ShellCompDirectiveError
	}
	names := map[string]int{}
	for _, a := range list {
		names[a.Name]++
	}
	var found []cobra.Completion
	for _, a := range list {
		name := a.Name
		if names[name] > 1 || !strings.HasPrefix(name, prefix) { // the prefix is of PROJECT/NAME
			name = a.Project + "/" + name
		}
		found = append(found, name)
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}
