package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/admin"
)

func newIssueKeyCommand(g *global) *cobra.Command {
	var in admin.KeyRequest
	var role, expires string
	c := &cobra.Command{
		Use:   "issue-key --project PROJECT",
		Short: "Make an access key, and print its secret this once",
		Long: `Make an access key, and print its secret this once, in the form of
/etc/cfn/cfn-credentials, which guests read.`,
		Example: "  cfn-watch issue-key --project 5d4f... --stack web >cfn-credentials\n" +
			"  cfn-watch issue-key --project 5d4f... --role reader --expires 90d",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if in.Project == "" {
				return &usageError{fmt.Errorf("--project is missing: whose alarms may the key feed or see? (see %s --help)", c.CommandPath())}
			}
			in.Role = watch.Role(role)
			if expires != "" {
				var err error
				if in.For, err = parseSpan(expires); err != nil {
					return &usageError{fmt.Errorf("--expires: %w", err)}
				}
			}
			return ask(g, c, "issue-key", in, func(w io.Writer, k admin.Key) {
				fmt.Fprintf(w, "AWSAccessKeyId=%s\nAWSSecretKey=%s\n", k.Access, k.Secret)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&in.Project, "project", "", "id of the project")
	f.StringVar(&in.Stack, "stack", "", "name or id of the root stack whose alarms alone it may feed")
	f.StringVar(&role, "role", "", "guest, reader or member (default guest with --stack, else member)")
	f.StringVar(&expires, "expires", "", "after this time, such as 90d (default never)")
	return c
}

func newListKeysCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "list-keys",
		Short: "List the keys that were issued, without their secrets",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return askEach(g, c, "list-keys", admin.Nothing{}, "ACCESS\tPROJECT\tSTACK\tROLE\tCREATED\tEXPIRES\tREVOKED", func(w io.Writer, k admin.Key) {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.Access, k.Project, orDash(k.Stack), k.Role, clock(k.Created), clock(k.Expires), clock(k.Revoked))
			})
		},
	}
}

func newRevokeKeyCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke-key ACCESS",
		Short: "Refuse a key from now on",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return ask(g, c, "revoke-key", admin.Access{Access: args[0]}, said[admin.Nothing]("key %s is refused from now on", args[0]))
		},
	}
}

func newBackupCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the store to a file while the server runs",
		Long: `Copy the store to a file, for its owner alone, while the server runs. An earlier
backup is replaced, any other file is not. To go back, stop the server and put the
copy in the store's place.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			path, err := filepath.Abs(args[0]) // the server has another working directory
			if err != nil {
				return err
			}
			return ask(g, c, "backup", admin.File{Path: path}, said[admin.Nothing]("the store is in %s", path))
		},
	}
}
