package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cfn-agent/cfn-agent/metadata"
)

type getMetadataOptions struct {
	connection
	key          string
	raw, verbose bool
}

func newGetMetadataCommand(e *env) *cobra.Command {
	var o getMetadataOptions
	c := &cobra.Command{
		Use:   "get-metadata",
		Short: "Print the metadata of a resource",
		Long: `Print the metadata of a resource, or the value at one key of it, as one line of
JSON. Without stack and resource, or without keys, it is the metadata on this
machine.

Exit status: 0 printed, 1 there is no metadata or no such key, 2 bad option.`,
		Example: "  cfn-agent get-metadata --stack mystack --resource WebServer\n" +
			"  cfn-agent get-metadata --stack mystack --resource WebServer --key \"db.'host.name'\" --raw",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runGetMetadata(c.Context(), e, c, o) },
	}
	f := c.Flags()
	f.StringVarP(&o.key, "key", "k", "", "path of a key: parts separated by dots, a part with dots in single quotes;\na number is the place in a list, from 0")
	f.BoolVar(&o.raw, "raw", false, "print a string without quotes")
	f.Bool("json", true, "print JSON, as without it")
	f.Lookup("json").Hidden = true
	o.add(c, shorthands{stack: "s", resource: "r"}, "stack", "resource", "access-key", "secret-key", "region", "credential-file", "url", "key")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "say what is done")
	return c
}

func runGetMetadata(ctx context.Context, e *env, c *cobra.Command, o getMetadataOptions) error {
	o.hideSecrets(e)
	if (o.stack == "") != (o.resource == "") {
		missing := "--resource"
		if o.stack == "" {
			missing = "--stack"
		}
		return missingError(c, "%s is missing", missing)
	}
	// heat-cfntools wrote all metadata, secrets included, to a log: no file.
	l := e.openLogs(c.Root().Name(), "", o.verbose)
	defer l.Close()
	d, remote, err := o.load(ctx, e, l, ifSilent)
	if err != nil {
		return err
	}
	if remote {
		o.keep(e, l, d)
	}
	value, ok := d.Lookup(o.key)
	if !ok {
		return fmt.Errorf("the metadata has no key %s", o.key)
	}
	text := string(metadata.OneLine(value))
	if o.raw {
		var s string
		if json.Unmarshal(value, &s) == nil {
			text = s
		}
	}
	_, err = fmt.Fprintln(e.stdout, text)
	return err
}
