// Package rules reads alarms that an operator keeps in files, says what is
// wrong with them by file, line and key, compares them with the alarms that a
// server has, and runs tests of them without a server.
//
// A rule file is YAML or JSON: a map of alarm names to the properties of
// AWS::CloudWatch::Alarm (AWS CloudFormation User Guide), Project, the id of
// the alarm's project, and the fields that watch.Alarm has beside them. What
// is under Defaults counts for every alarm of the file that does not say it.
package rules

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cfn-agent/cfn-agent/watch"
)

// A Rule is an alarm as a file defines it.
type Rule struct {
	Alarm watch.Alarm

	said map[string]place // fields that the file, or its Defaults, gives
	at   place            // of its name
}

// A Set is the rules of some files, in the order of the files and in them.
type Set struct {
	Rules []Rule
}

// Options say what is known beside the files.
type Options struct {
	Execs []string // commands that actions may name; nil: any
}

// fileLimit is far above any file that people keep.
const fileLimit = 16 << 20

// Load reads rule files, and of folders the files whose names end in .yaml,
// .yml or .json and do not begin with a dot, in the order of their names. The
// error is a *Error with all mistakes of all files, or that of a file or
// folder that cannot be read.
func Load(o Options, paths ...string) (*Set, error) {
	files, err := find(paths)
	if err != nil {
		return nil, err
	}
	s := &Set{}
	var wrong mistakes
	known := map[[2]string]place{}
	for _, file := range files {
		data, err := readFile(file)
		if err != nil {
			return nil, err
		}
		for _, r := range parse(file, data, o, &wrong) {
			id := [2]string{r.Alarm.Project, r.Alarm.Name}
			if first, twice := known[id]; twice {
				wrong.add(r.at, r.Alarm.Name, "", "is defined at %s too: give one another name, or another Project", first)
				continue
			}
			known[id] = r.at
			s.Rules = append(s.Rules, r)
		}
	}
	if err := wrong.err(); err != nil {
		return nil, err
	}
	return s, nil
}

// find lists the files of paths.
func find(paths []string) (files []string, err error) {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("read rules: %w", err)
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, fmt.Errorf("read rules: %w", err)
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(e.Name())) {
				files = append(files, filepath.Join(path, e.Name()))
			}
		}
	}
	return files, nil
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > fileLimit {
		return nil, fmt.Errorf("read %s: it has %d bytes, and at most %d are read", path, info.Size(), fileLimit)
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%w: it must be readable by the server", err)
	}
	return data, err
}
