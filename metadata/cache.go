package metadata

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/cfn-agent/cfn-agent/agent/atomicfile"
)

// DefaultCacheDir is where the last metadata is kept, as heat-cfntools does.
// The hook of heat-agents for groups of type cfn-init writes it there for
// cfn-init to apply; its HEAT_CFN_INIT_LAST_METADATA_DIR names another one.
const DefaultCacheDir = "/var/cache/heat-cfntools"

// bootFiles are the copies that Heat has cloud-init or Ignition write when
// the guest boots first.
var bootFiles = []string{"/var/lib/heat-cfntools/cfn-init-data", "/var/lib/cloud/data/cfn-init-data"}

// A Cache is the directory of the last metadata: last_metadata for any
// resource, and last_metadata_R for the resource R. Directory and files are
// for their owner alone, since metadata holds secrets.
type Cache struct {
	Dir string // as seen from this process
}

// Save keeps a document as the last one, and as the last one of a resource
// when it is named. A file that already says the same is left alone.
func (c Cache) Save(d Document, resource string) error {
	return c.save(d, c.paths(resource))
}

// SaveResource keeps a document as the last one of a resource, and leaves the
// last one of any as it is: a guest that looks after several resources would
// have that of another one there.
func (c Cache) SaveResource(d Document, resource string) error {
	return c.save(d, c.paths(resource)[:1])
}

// Last returns the last document of a resource, and whether there is one that
// can be read.
func (c Cache) Last(resource string) (Document, bool) {
	path := c.paths(resource)[0]
	data, err := os.ReadFile(path)
	if err != nil {
		return Document{}, false
	}
	d, err := Parse(data)
	d.Origin = path
	return d, err == nil
}

func (c Cache) save(d Document, paths []string) error {
	if err := atomicfile.MkdirPrivate(c.Dir); err != nil {
		return fmt.Errorf("keep the metadata: %w", err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, d.raw); err != nil {
		return fmt.Errorf("keep the metadata: %w", err)
	}
	for _, path := range paths {
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, compact.Bytes()) && private(path) {
			continue
		}
		if err := atomicfile.Write(path, compact.Bytes(), atomicfile.KeepOwner(0o600)); err != nil {
			return fmt.Errorf("keep the metadata: %w", err)
		}
	}
	return nil
}

func private(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Perm() == 0o600
}

// paths are the files of a resource, its own one first.
func (c Cache) paths(resource string) []string {
	last := filepath.Join(c.Dir, "last_metadata")
	if resource == "" {
		return []string{last}
	}
	return []string{last + "_" + url.PathEscape(resource), last}
}

// A Local is a Fetcher that reads what is on the guest: the last metadata of
// Resource, the last metadata of any, and what Heat wrote at the first boot.
type Local struct {
	Root     string // the root of the guest's file system; empty: "/"
	Cache    Cache
	Resource string // may be empty
}

// ErrNoLocal says that there is no metadata on the guest.
var ErrNoLocal = errors.New("there is no metadata on this machine")

// Fetch returns the first document there is. One that cannot be read or
// parsed is an error, not passed over: what follows it would be older.
func (l Local) Fetch(context.Context) (Document, error) {
	paths := l.Cache.paths(l.Resource)
	for _, p := range bootFiles {
		paths = append(paths, filepath.Join("/", l.Root, p))
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && len(bytes.TrimSpace(data)) == 0 {
			continue
		}
		if err != nil {
			return Document{}, err
		}
		d, err := Parse(data)
		if err != nil {
			return Document{}, fmt.Errorf("read %s: %w", path, err)
		}
		d.Origin = path
		return d, nil
	}
	return Document{}, fmt.Errorf("%w: looked for %s", ErrNoLocal, list(paths))
}
