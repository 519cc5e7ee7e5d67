package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// heatOption marks the options that heat-cfntools has, see expandName.
const heatOption = "heat-cfntools"

// markHeat marks options of a command as those that heat-cfntools has.
func markHeat(flags *pflag.FlagSet, names ...string) {
	for _, name := range names {
		// The only error is an unknown name: a test calls every command.
		if err := flags.SetAnnotation(name, heatOption, nil); err != nil {
			panic(err)
		}
	}
}

// expandArgs writes out abbreviated long options, as Python's argparse and
// optparse take them and pflag does not: --stac for --stack.
func expandArgs(root *cobra.Command, args []string) ([]string, error) {
	c, rest, err := root.Find(args)
	if err != nil || c.DisableFlagParsing {
		return args, nil // cobra says what is wrong
	}
	c.InitDefaultHelpFlag()
	out := args[: len(args)-len(rest) : len(args)-len(rest)]
	for i := 0; i < len(rest); i++ {
		arg := rest[i]
		if arg == "--" {
			return append(out, rest[i:]...), nil
		}
		takesNext := false
		switch {
		case strings.HasPrefix(arg, "--"):
			if arg, takesNext, err = expandLong(c.Flags(), arg); err != nil {
				return nil, usageError(c, "%v", err)
			}
		case strings.HasPrefix(arg, "-") && len(arg) > 1:
			takesNext = shortTakesNext(c.Flags(), arg[1:])
		}
		out = append(out, arg)
		if takesNext && i+1 < len(rest) {
			i++
			out = append(out, rest[i])
		}
	}
	return out, nil
}

func expandLong(flags *pflag.FlagSet, arg string) (expanded string, takesNext bool, err error) {
	name, value, hasValue := strings.Cut(arg[2:], "=")
	if name, err = expandName(flags, name); err != nil {
		return "", false, err
	}
	expanded = "--" + name
	if hasValue {
		return expanded + "=" + value, false, nil
	}
	f := flags.Lookup(name)
	return expanded, f != nil && f.NoOptDefVal == "", nil
}

// expandName finds the option that an abbreviation means. One that was unique
// in heat-cfntools stays so: of several options, its own goes first. An
// abbreviation of none is left for pflag to refuse.
func expandName(flags *pflag.FlagSet, name string) (string, error) {
	if flags.Lookup(name) != nil || name == "" {
		return name, nil
	}
	var all, heat []string
	flags.VisitAll(func(f *pflag.Flag) {
		if !strings.HasPrefix(f.Name, name) {
			return
		}
		all = append(all, f.Name)
		if _, ok := f.Annotations[heatOption]; ok {
			heat = append(heat, f.Name)
		}
	})
	switch {
	case len(heat) == 1:
		return heat[0], nil
	case len(all) == 1:
		return all[0], nil
	case len(all) > 1:
		return "", fmt.Errorf("ambiguous option --%s: it could be --%s", name, strings.Join(all, ", --"))
	}
	return name, nil
}

// shortTakesNext says whether the last of a group of short options has its
// value in the next argument.
func shortTakesNext(flags *pflag.FlagSet, group string) bool {
	for i := range len(group) {
		f := flags.ShorthandLookup(group[i : i+1])
		if f == nil {
			return false
		}
		if f.NoOptDefVal == "" {
			return i == len(group)-1
		}
	}
	return false
}
