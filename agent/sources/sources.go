// Package sources applies the sources section of a config: it downloads an
// archive and unpacks it into a directory, whatever the archive holds never
// outside of it, and remembers what it unpacked, so that the same archive is
// neither downloaded nor unpacked twice.
//
// What an archive is, its content decides and never its name: tar, as it is or
// with gzip, bzip2, xz or zstd; zip; or a single compressed file. The section
// is that of the AWS CloudFormation User Guide, "AWS::CloudFormation::Init",
// sources.
package sources

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/fetch"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// Apply unpacks one archive into its directory, unless what the directory
// holds is what the same archive left there. Files that are there are
// replaced, others left.
//
// The run goes on, degraded and with the directory as it was, when the
// archive cannot be had or is refused: for a member that would be outside of
// the directory or is no file, directory or link, for one behind a symbolic
// link, and for an archive too large or too deep to be meant. An error is a
// directory without an absolute path, or one that anybody may have linked
// elsewhere.
//
// Only one Apply may run at a time for a directory.
func Apply(ctx context.Context, s *sys.System, c *fetch.Client, src metadata.Source) (sys.Outcome, error) {
	return apply(ctx, s, c, src, defaultLimits())
}

func apply(ctx context.Context, s *sys.System, c *fetch.Client, src metadata.Source, max limits) (sys.Outcome, error) {
	o := sys.Outcome{Name: src.Dir}
	if !path.IsAbs(src.Dir) {
		return o, fmt.Errorf("source %s: the directory must be absolute, such as /srv/app", src.Dir)
	}
	if err := s.CheckLinks(src.Dir, nil); err != nil {
		return o, fmt.Errorf("source %s: %w", src.Dir, err)
	}
	known := load(s, src)
	intact := known.intact(s.Path(src.Dir))
	if intact && wanted(src) == known.SHA256 {
		return o, nil
	}
	o.Action = fmt.Sprintf("unpack %s into %s", fetch.Shown(src.URL), src.Dir)
	if s.DryRun && !intact {
		o.Changed, o.Trigger = true, true
		return o, nil
	}
	got, err := c.Get(ctx, s, request(s, src, known, intact))
	if err != nil {
		return degraded(ctx, o, err)
	}
	defer got.Remove()
	switch {
	case got.NotModified:
		o.Action = ""
		return o, nil
	case intact && got.SHA256 == known.SHA256:
		o.Action = ""
		if !s.DryRun {
			note(&o, remember(s, src, got, known.Entries))
		}
		return o, nil
	case s.DryRun:
		o.Changed, o.Trigger = true, true
		return o, nil
	}
	u := unpacking{System: s, src: src, max: max, archive: got.Path}
	entries, err := u.run(ctx)
	if err != nil {
		return degraded(ctx, o, fmt.Errorf("unpack %s: %w", fetch.Shown(src.URL), err))
	}
	o.Changed, o.Trigger = true, true
	note(&o, s.Relabel(ctx, src.Dir))
	note(&o, remember(s, src, got, entries))
	return o, nil
}

// note adds to an outcome what went wrong beside the unpacking.
func note(o *sys.Outcome, err error) {
	if err != nil {
		o.Degraded = strings.TrimPrefix(o.Degraded+"; "+err.Error(), "; ")
	}
}

// Settle remembers what the directory holds now as what is to be there. It is
// called when the rest of the config has been applied: files and commands of
// the config may have changed what the archive brought, and that is no reason
// to unpack it again in the next run. It must not be called for a source that
// Apply left degraded: what is missing there would never be mended.
func Settle(s *sys.System, src metadata.Source) error {
	st := load(s, src)
	if st.SHA256 == "" || s.DryRun {
		return nil
	}
	names := make([]string, 0, len(st.Entries))
	for _, e := range st.Entries {
		names = append(names, e.Name)
	}
	entries, err := record(s.Path(src.Dir), names)
	if err != nil {
		return err
	}
	if same(entries, st.Entries) {
		return nil
	}
	st.Entries = entries
	return st.save(s)
}

func degraded(ctx context.Context, o sys.Outcome, err error) (sys.Outcome, error) {
	o.Action = ""
	if ctx.Err() != nil {
		return o, err
	}
	what := "is left as it is"
	if _, ok := errors.AsType[partlyError](err); ok {
		what = "is only partly what it is to be"
	}
	o.Degraded = fmt.Sprintf("%v: %s %s", err, o.Name, what)
	return o, nil
}

// wanted is the digest that the metadata names, if it does. It is never empty:
// that of a state that does not exist is.
func wanted(src metadata.Source) string {
	_, fragment, _ := strings.Cut(src.URL, "#sha256=")
	return strings.ToLower(cmp.Or(src.SHA256, fragment, "none"))
}

// request asks for the archive, unless it is the one that is unpacked.
func request(s *sys.System, src metadata.Source, known state, intact bool) fetch.Request {
	r := fetch.Request{URL: src.URL, SHA256: src.SHA256}
	if intact && known.URL == digest(src.URL) {
		r.ETag, r.LastModified = known.ETag, known.LastModified
	}
	if s.DryRun {
		return r
	}
	// An archive may be larger than the /tmp of a guest. What a killed run
	// left there is of no use.
	dir := filepath.Join(s.Path(stateDir), "download")
	if os.RemoveAll(dir) == nil && makeStateDir(s) == nil && os.Mkdir(dir, 0o700) == nil {
		r.Dir = dir
	}
	return r
}
