package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// A Section is one [NAME] of a file that is read as cfn-hup.conf is.
type Section struct {
	Name string
	Bad  error // a line of it is not what it should be: the file, the line, what; nil: none

	file *ini
	keys *section
}

// Get returns the value of a key, which is in lower case, and whether the
// section or [DEFAULT] has it.
func (s Section) Get(key string) (string, bool) { return s.file.get(s.keys, key) }

// Keys returns the keys of the section itself in their order by name.
func (s Section) Keys() []string { return slices.Sorted(maps.Keys(s.keys.keys)) }

// ReadSections returns the sections of a file in their order, and what is
// wrong with it, each in one line. A file that is not there has none.
func ReadSections(file string) (list []Section, problems []error, err error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read configuration: %w", err)
	}
	var in ini
	in.read(file, data)
	for _, s := range in.sections {
		list = append(list, Section{Name: s.name, Bad: s.bad, file: &in, keys: s})
	}
	return list, in.problems, nil
}

// lay puts values of [main] that come from elsewhere over those of the files.
func (f *ini) lay(file string, main map[string]string) {
	if main == nil {
		return
	}
	s := f.section(mainSection)
	if s == nil {
		s = &section{name: mainSection, file: file, keys: map[string]string{}}
		f.sections = append(f.sections, s)
	}
	for key, value := range main {
		s.keys[key] = strings.ReplaceAll(value, "%", "%%")
	}
}
