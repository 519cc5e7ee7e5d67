package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The files of cfn-hup in its directory.
const (
	DefaultDir = "/etc/cfn"
	mainFile   = "cfn-hup.conf"
	hooksFile  = "hooks.conf"
	hooksDir   = "hooks.d"
)

// ErrNoHooks says that no file has a hook that can be used, and ErrNoStack
// that none names the stack.
var (
	ErrNoHooks = errors.New("no hooks were found")
	ErrNoStack = errors.New("no stack is named")
)

// Files are where the configuration is read from.
type Files struct{ Main, Hooks, Dir string }

// MainKeys returns the keys of [main] in cfn-hup.conf.
func MainKeys() []string { return slices.Clone(mainKeys) }

// Find returns the files for the option --config of cfn-hup, on a file system
// below root. A directory that holds cfn-hup.conf is the configuration
// directory, as for aws-cfn-bootstrap; any other is the directory of hooks
// alone, as for heat-cfntools. An empty config is /etc/cfn.
func Find(root, config string) Files {
	dir := filepath.Join("/", root, DefaultDir)
	f := Files{filepath.Join(dir, mainFile), filepath.Join(dir, hooksFile), filepath.Join(dir, hooksDir)}
	if config == "" {
		return f
	}
	main := filepath.Join(config, mainFile)
	if _, err := os.Stat(main); err == nil {
		return Files{main, filepath.Join(config, hooksFile), filepath.Join(config, hooksDir)}
	}
	f.Dir = config
	return f
}

// Load reads the files. The error is about the main file, or a key without
// which nothing can be done; it wraps ErrNoHooks when there is no hook, and
// then the Config has the Problems that tell why.
func Load(f Files) (Config, error) { return LoadWith(f, nil) }

// LoadWith is Load where the keys of [main] that are given, by their names,
// hold in place of those in the main file, which then need not be there. The
// error wraps ErrNoStack when neither names the stack.
func LoadWith(f Files, main map[string]string) (Config, error) {
	var in ini
	data, err := os.ReadFile(f.Main)
	switch {
	case err == nil:
		in.read(f.Main, data)
	case main == nil || !errors.Is(err, fs.ErrNotExist):
		return Config{Umask: defaultUmask}, fmt.Errorf("read the main configuration: %w", err)
	}
	in.lay(f.Main, main)
	names := f.names(&in)
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			in.problems = append(in.problems, fmt.Errorf("read hooks: %w", err))
			continue
		}
		in.read(name, data)
	}
	c, err := in.config(f.Main)
	if err == nil && len(c.Hooks) == 0 {
		err = fmt.Errorf("%w: write some to %s, or to a file with the suffix .conf in %s", ErrNoHooks, f.Hooks, f.Dir)
	}
	return c, err
}

// names are the files of hooks: hooks.conf, and those of the directory in
// the order of their names. Both old tools took every file there is, copies
// of editors and of rpm included, in the order of the directory, and
// heat-cfntools died of a subdirectory.
func (f Files) names(in *ini) []string {
	var names []string
	if _, err := os.Stat(f.Hooks); !errors.Is(err, fs.ErrNotExist) {
		names = append(names, f.Hooks)
	}
	entries, err := os.ReadDir(f.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		in.problems = append(in.problems, fmt.Errorf("read hooks: %w", err))
	}
	for _, e := range entries {
		path := filepath.Join(f.Dir, e.Name())
		info, err := os.Stat(path)
		switch {
		case err == nil && info.IsDir():
			in.problems = append(in.problems, fmt.Errorf("%s is a directory: it was skipped", path))
		case !strings.HasSuffix(path, ".conf") || strings.HasPrefix(e.Name(), "."):
			in.problems = append(in.problems, fmt.Errorf("%s does not end in .conf: it was skipped", path))
		default:
			names = append(names, path)
		}
	}
	return names
}
