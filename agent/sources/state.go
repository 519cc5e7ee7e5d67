package sources

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/cfn-agent/cfn-agent/agent/atomicfile"
	"github.com/cfn-agent/cfn-agent/agent/fetch"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

const stateDir = "/var/lib/cfn-init/sources"

// A state is what is remembered of one directory: the archive, and what was
// unpacked. It holds no URL, as that may hold a secret, but its digest. The
// zero value is that of a directory that nothing was unpacked into.
type state struct {
	Dir          string   `json:"dir"`
	URL          string   `json:"url_sha256"`
	Single       string   `json:"single,omitempty"` // the name that a single file of the URL has
	ETag         string   `json:"etag,omitempty"`
	LastModified string   `json:"last_modified,omitempty"`
	Size         int64    `json:"size"`
	SHA256       string   `json:"sha256"`
	Entries      []placed `json:"entries"`
}

// A placed member, as Lstat saw it.
type placed struct {
	Name string `json:"name"` // below the directory
	Type string `json:"type"` // see entryType; empty: it was not there
	Size int64  `json:"size,omitempty"`
	Time int64  `json:"mtime,omitempty"` // nanoseconds since 1970
	Link string `json:"link,omitempty"`
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func statePath(dir string) string {
	return filepath.Join(stateDir, digest(path.Clean(dir))[:32]+".json")
}

// load reads the state of a source. One that cannot be read counts as none:
// the archive is then unpacked again. Another URL, as that of a signature that
// was renewed, may still give the same archive.
func load(s *sys.System, src metadata.Source) state {
	data, err := os.ReadFile(s.Path(statePath(src.Dir)))
	if err != nil {
		return state{}
	}
	var st state
	if json.Unmarshal(data, &st) != nil || st.Dir != path.Clean(src.Dir) || st.Single != singleName(src.URL) {
		return state{}
	}
	return st
}

func remember(s *sys.System, src metadata.Source, got *fetch.File, entries []placed) error {
	return state{
		Dir: path.Clean(src.Dir), URL: digest(src.URL), Single: singleName(src.URL), ETag: got.ETag, LastModified: got.LastModified,
		Size: got.Size, SHA256: got.SHA256, Entries: entries,
	}.save(s)
}

func (st state) save(s *sys.System) error {
	data, err := json.Marshal(st)
	if err == nil {
		err = makeStateDir(s)
	}
	if err == nil {
		err = s.WriteFile(statePath(st.Dir), data, atomicfile.KeepOwner(0o600))
	}
	if err != nil {
		return fmt.Errorf("remember what is unpacked: %w", err)
	}
	return nil
}

// forget is called before a directory is changed: a run that is killed in the
// middle leaves no state, and the next one unpacks again.
func forget(s *sys.System, src metadata.Source) error {
	name := s.Path(statePath(src.Dir))
	if err := os.Remove(name); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(name))
}

func makeStateDir(s *sys.System) error {
	if err := s.MkdirAll(filepath.Dir(stateDir)); err != nil {
		return err
	}
	if err := os.Mkdir(s.Path(stateDir), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// intact says whether everything that was unpacked is still there as it was.
func (st state) intact(dir string) bool {
	if st.SHA256 == "" {
		return false
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false
	}
	defer root.Close()
	for _, e := range st.Entries {
		if now, err := lstat(root, e.Name); err != nil || now != e {
			return false
		}
	}
	return true
}

// record notes what the members of an archive look like in the directory.
func record(dir string, names []string) ([]placed, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	entries := make([]placed, 0, len(names))
	for _, name := range names {
		e, err := lstat(root, name)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func lstat(root *os.Root, name string) (placed, error) {
	e := placed{Name: name}
	info, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return e, nil
	}
	if err != nil {
		return e, err
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		// Its time and size change with what others put there.
		e.Type = "dir"
	case mode.IsRegular():
		e.Type, e.Size, e.Time = "file", info.Size(), info.ModTime().UnixNano()
	case mode&fs.ModeSymlink != 0:
		e.Type = "link"
		e.Link, err = root.Readlink(name)
	default:
		e.Type = "other"
	}
	return e, err
}

func same(a, b []placed) bool { return slices.Equal(a, b) }
