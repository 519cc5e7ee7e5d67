package metadata

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/nearest"
)

const (
	setsKey       = "configSets"
	defaultSet    = "default"
	defaultConfig = "config"
)

// An Init is the AWS::CloudFormation::Init section of a document: configs,
// and sets that say which of them are applied, in which order.
type Init struct {
	// Warnings are what is odd in the configs that Select has read, such as
	// unknown keys: nothing that keeps them from being applied.
	Warnings []*PathError
	// Authentications are those of the document, by name.
	Authentications []Authentication

	configs map[string]json.RawMessage
	names   []string               // of configs, in document order
	sets    map[string][]reference // nil: the document has no configSets
}

// A reference is one element of a set: a config, or another set.
type reference struct {
	name string
	set  bool
	path string
}

// Init returns the AWS::CloudFormation::Init section. The error is ErrNoInit
// when there is none, or nothing in it; a *PathError when the section, its configSets, or what
// stands under AWS::CloudFormation::Authentication, have a wrong type. The
// configs themselves are checked by Select.
func (d Document) Init() (*Init, error) {
	raw, ok := d.top(InitKey)
	if !ok {
		return nil, d.noInit()
	}
	i := &Init{configs: map[string]json.RawMessage{}}
	var err error
	if i.Authentications, i.Warnings, err = d.authentications(); err != nil {
		return nil, err
	}
	members, err := node{path: InitKey, raw: raw, warn: &i.Warnings}.members("an object of configs")
	if err != nil {
		return nil, err
	}
	if len(members) == 0 {
		return nil, &noInit{"the " + InitKey + " section is empty: give it a config"}
	}
	for _, m := range members {
		if m.key != setsKey {
			i.configs[m.key] = m.raw
			i.names = append(i.names, m.key)
			continue
		}
		m.path = setsKey
		if i.sets, err = m.configSets(); err != nil {
			return nil, err
		}
	}
	return i, nil
}

// Configs returns the names of all configs, in document order.
func (i *Init) Configs() []string { return slices.Clone(i.names) }

// Select returns the configs of the named sets in the order in which they are
// applied, each checked whole. Sets is a comma-separated list; empty means
// the set default, which is the config named config when the document has no
// configSets. A config that stands in several places is returned several
// times. Errors: an unknown set or config, a set that contains itself, and
// anything wrong in a selected config: all of it, as errors.Join has it.
func (i *Init) Select(sets string) ([]Config, error) {
	names, err := i.Expand(sets)
	if err != nil {
		return nil, err
	}
	parsed := map[string]Config{}
	var configs []Config
	var errs []error
	for _, name := range names {
		c, done := parsed[name]
		if !done {
			c, err = i.Config(name)
			errs = append(errs, err)
			parsed[name] = c
		}
		configs = append(configs, c)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return configs, nil
}

// Config returns one config by its name, checked. The error joins all that is
// wrong with it, each a *PathError.
func (i *Init) Config(name string) (Config, error) {
	raw, ok := i.configs[name]
	if !ok {
		return Config{}, i.unknownConfig(name)
	}
	n := node{path: child("", name), raw: raw, warn: &i.Warnings}
	c, err := n.config()
	c.Name = name
	errs := []error{err}
	for _, f := range c.Files {
		if f.Authentication != "" && !i.authenticates(f.Authentication) {
			errs = append(errs, &PathError{Path(name, "files", f.Path, "authentication"),
				fmt.Errorf("unknown authentication %q: %s has %s", f.Authentication, AuthenticationKey, list(i.authenticationNames()))})
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Config{}, err
	}
	return c, nil
}

func (i *Init) authenticates(name string) bool {
	return slices.Contains(i.authenticationNames(), name)
}

func (i *Init) authenticationNames() []string {
	var names []string
	for _, a := range i.Authentications {
		names = append(names, a.Name)
	}
	return names
}

// Expand returns the names of the configs of the named sets; see Select.
func (i *Init) Expand(sets string) ([]string, error) {
	wanted := splitSets(sets)
	if i.sets == nil {
		if len(wanted) > 1 || wanted[0] != defaultSet {
			return nil, fmt.Errorf("unknown configSet %s: the metadata has no configSets", strings.Join(wanted, ","))
		}
		if _, ok := i.configs[defaultConfig]; !ok {
			return nil, fmt.Errorf("the metadata has neither configSets nor a config named %q: its configs are %s%s",
				defaultConfig, list(i.names), i.meant())
		}
		return []string{defaultConfig}, nil
	}
	var names []string
	for _, set := range wanted {
		if _, ok := i.sets[set]; !ok {
			hint := ""
			if sets == "" {
				hint = ": name one with --configsets"
			}
			return nil, fmt.Errorf("unknown configSet %q: the metadata has %s%s", set, list(i.setNames()), hint)
		}
		expanded, err := i.expand(set, nil)
		if err != nil {
			return nil, err
		}
		names = append(names, expanded...)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("configSets %s hold no config", strings.Join(wanted, ", "))
	}
	return names, nil
}

// meant is a hint at a config, or the sets, under a mistyped name.
func (i *Init) meant() string {
	for _, word := range []string{defaultConfig, setsKey} {
		for _, name := range i.names {
			if nearest.Word(name, []string{word}, 2) != "" {
				return ": did you mean " + word + "?"
			}
		}
	}
	return ""
}

// maxConfigs bounds what nested sets can grow to: each level may double it.
const maxConfigs = 10000

func (i *Init) expand(set string, within []string) ([]string, error) {
	if at := slices.Index(within, set); at >= 0 {
		return nil, &PathError{child(setsKey, set), fmt.Errorf("contains itself: %s -> %s",
			strings.Join(within[at:], " -> "), set)}
	}
	within = append(slices.Clone(within), set)
	var names []string
	for _, ref := range i.sets[set] {
		if !ref.set {
			if _, ok := i.configs[ref.name]; !ok {
				return nil, &PathError{ref.path, i.unknownConfig(ref.name)}
			}
			names = append(names, ref.name)
			continue
		}
		if _, ok := i.sets[ref.name]; !ok {
			return nil, &PathError{ref.path, fmt.Errorf("unknown configSet %q: the metadata has %s", ref.name, list(i.setNames()))}
		}
		nested, err := i.expand(ref.name, within)
		if err != nil {
			return nil, err
		}
		names = append(names, nested...)
		if len(names) > maxConfigs {
			return nil, &PathError{child(setsKey, set), fmt.Errorf("expands to more than %d configs", maxConfigs)}
		}
	}
	return names, nil
}

func (i *Init) unknownConfig(name string) error {
	return fmt.Errorf("unknown config %q: the metadata has %s", name, list(i.names))
}

func (i *Init) setNames() []string {
	var names []string
	for name := range i.sets {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// configSets reads the sets. A set is a list; a name or a reference alone is
// taken for a list of one.
func (n node) configSets() (map[string][]reference, error) {
	members, err := n.members("an object of sets")
	if err != nil {
		return nil, err
	}
	sets := map[string][]reference{}
	for _, m := range members {
		elements := []node{m.node}
		if m.kind() == '[' {
			if elements, err = m.elements("a list"); err != nil {
				return nil, err
			}
		}
		sets[m.key] = []reference{}
		for _, e := range elements {
			ref, err := e.reference()
			if err != nil {
				return nil, err
			}
			sets[m.key] = append(sets[m.key], ref)
		}
	}
	return sets, nil
}

func (n node) reference() (reference, error) {
	const want = `the name of a config, or {"ConfigSet": "NAME"}`
	if n.kind() == '"' {
		name, err := n.text(want)
		return reference{name: name, path: n.path}, err
	}
	members, err := n.members(want)
	if err != nil {
		return reference{}, err
	}
	if len(members) != 1 || members[0].key != "ConfigSet" || members[0].kind() != '"' {
		return reference{}, n.wrong(want)
	}
	name, err := members[0].text(want)
	return reference{name: name, set: true, path: members[0].path}, err
}

// splitSets splits a list of sets at commas; the names are trimmed.
func splitSets(sets string) []string {
	var names []string
	for _, name := range strings.Split(sets, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return []string{defaultSet}
	}
	return names
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
