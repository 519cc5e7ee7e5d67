package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cfn-agent/cfn-agent/agent/atomicfile"
)

type symlinksOptions struct {
	source, target string
	force          bool
}

func newSymlinksCommand(e *env) *cobra.Command {
	var o symlinksOptions
	c := &cobra.Command{
		Use:   "create-aws-symlinks",
		Short: "Link the cfn-* tools into /opt/aws/bin",
		Long: `Link every cfn-* program of one directory into another, where templates look
for them. Heat's boot hook calls it at each boot.

Exit status: 0 done, 1 the directories are the same or cannot be used, 2 bad option.`,
		Example: "  cfn-agent create-aws-symlinks\n  cfn-agent create-aws-symlinks --source /usr/local/bin --force",
		Args:    noArgs,
		RunE:    func(*cobra.Command, []string) error { return runSymlinks(e, o) },
	}
	f := c.Flags()
	f.StringVarP(&o.target, "target", "t", "/opt/aws/bin", "directory to make the links in")
	f.StringVarP(&o.source, "source", "s", "/usr/bin", "directory that holds the programs")
	f.BoolVarP(&o.force, "force", "f", false, "replace what is there")
	markHeat(f, "target", "source", "force")
	return c
}

func runSymlinks(e *env, o symlinksOptions) error {
	source, target := filepath.Clean(o.source), filepath.Clean(o.target)
	if source == target {
		return fmt.Errorf("source and target are the same directory, %s", source)
	}
	dir := filepath.Join(e.root, target)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("--target: %w", err)
	}
	// Not a glob: a directory's name may hold its special characters.
	entries, err := os.ReadDir(filepath.Join(e.root, source))
	if err != nil {
		return fmt.Errorf("--source: %w", err)
	}
	var errs []error
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), "cfn-") && !entry.IsDir() {
			errs = append(errs, e.link(filepath.Join(source, entry.Name()), filepath.Join(dir, entry.Name()), o.force))
		}
	}
	return errors.Join(errs...)
}

// link makes a link, unless something else is there and is to stay. A link
// that leads nowhere counts as something too.
func (e *env) link(program, link string, force bool) error {
	current, err := os.Readlink(link)
	if err == nil && current == program {
		return nil
	}
	if info, err := os.Lstat(link); err == nil {
		if info.IsDir() {
			return fmt.Errorf("%s is a directory", link)
		}
		if !force {
			fmt.Fprintf(e.stdout, "%s is there already: left as it is (--force replaces it)\n", link)
			return nil
		}
	}
	if err := atomicfile.Symlink(program, link, -1, -1); err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "%s -> %s\n", link, program)
	return nil
}
