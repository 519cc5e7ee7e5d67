package metadata

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"time"
)

var sections = []string{"packages", "groups", "users", "sources", "files", "commands", "services"}

// config reads one config. Every section may be absent or null.
func (n node) config() (Config, error) {
	var c Config
	members, err := n.members("an object of sections: " + strings.Join(sections, ", "))
	if err != nil {
		return c, err
	}
	for _, m := range members {
		switch m.key {
		case "packages":
			err = m.packages(&c)
		case "groups":
			err = m.groups(&c)
		case "users":
			err = m.users(&c)
		case "sources":
			err = m.sources(&c)
		case "files":
			err = m.files(&c)
		case "commands":
			err = m.commands(&c)
		case "services":
			err = m.services(&c)
		default:
			m.unknown(sections)
		}
		if err != nil {
			return Config{}, err
		}
	}
	return c, nil
}

// managerRank is the order of package managers that AWS documents, local
// package files first: "rpm, yum/apt, and then rubygems and python".
var managerRank = []string{"dpkg", "rpm", "apt", "yum", "dnf", "zypper"}

func (n node) packages(c *Config) error {
	managers, err := n.members("an object of package managers")
	if err != nil {
		return err
	}
	for _, m := range managers {
		set := PackageSet{Manager: m.key}
		entries, err := m.members(`an object of packages, such as {"httpd": []}`)
		if err != nil {
			return err
		}
		for _, e := range entries {
			p, err := e.pkg()
			if err != nil {
				return err
			}
			set.Packages = append(set.Packages, p)
		}
		c.Packages = append(c.Packages, set)
	}
	slices.SortStableFunc(c.Packages, func(a, b PackageSet) int {
		return cmp.Or(cmp.Compare(rank(a.Manager), rank(b.Manager)),
			cmp.Compare(strings.ToLower(a.Manager), strings.ToLower(b.Manager)))
	})
	return nil
}

func rank(manager string) int {
	if i := slices.Index(managerRank, manager); i >= 0 {
		return i
	}
	return len(managerRank)
}

func (m member) pkg() (Package, error) {
	const want = `a version, or a list of versions, [] for any`
	p := Package{Name: m.key}
	versions := m.node
	if m.kind() == '{' {
		versions = node{path: m.path, warn: m.warn}
		members, err := m.members(want)
		if err != nil {
			return p, err
		}
		for _, e := range members {
			switch e.key {
			case "version":
				versions = e.node
			case "venv":
				if p.Venv, err = e.text("the path of a virtual environment"); err != nil {
					return p, err
				}
			default:
				e.unknown([]string{"version", "venv"})
			}
		}
	}
	list, err := versions.texts(want)
	if err != nil {
		return p, err
	}
	for _, v := range list {
		if v = strings.TrimSpace(v); v != "" {
			p.Versions = append(p.Versions, v)
		}
	}
	if strings.TrimSpace(p.Name) == "" {
		return p, m.errorf("a package needs a name")
	}
	return p, nil
}

func (n node) groups(c *Config) error {
	entries, err := n.sorted("an object of groups")
	if err != nil {
		return err
	}
	for _, e := range entries {
		g := Group{Name: e.key}
		err := e.fields(fields{"gid": func(n node) (err error) { g.GID, err = n.id(); return }})
		if err != nil {
			return err
		}
		c.Groups = append(c.Groups, g)
	}
	return nil
}

func (n node) users(c *Config) error {
	entries, err := n.sorted("an object of users")
	if err != nil {
		return err
	}
	for _, e := range entries {
		u := User{Name: e.key}
		err := e.fields(fields{
			"uid":     func(n node) (err error) { u.UID, err = n.id(); return },
			"groups":  func(n node) (err error) { u.Groups, err = n.texts("a list of groups"); return },
			"homeDir": func(n node) (err error) { u.Home, err = n.absolute("the path of a directory"); return },
		})
		if err != nil {
			return err
		}
		c.Users = append(c.Users, u)
	}
	return nil
}

func (n node) sources(c *Config) error {
	entries, err := n.sorted("an object of directories and URLs")
	if err != nil {
		return err
	}
	for _, e := range entries {
		const want = "the URL or path of an archive"
		s := Source{Dir: e.key}
		if s.URL, err = e.text(want); err != nil {
			return err
		}
		if !path.IsAbs(s.Dir) {
			return e.errorf("a source is unpacked into an absolute path, such as /opt/app")
		}
		if s.URL == "" {
			return e.wrong(want)
		}
		c.Sources = append(c.Sources, s)
	}
	return nil
}

func (n node) services(c *Config) error {
	managers, err := n.members("an object of service managers")
	if err != nil {
		return err
	}
	for _, m := range managers {
		set := ServiceSet{Manager: m.key}
		entries, err := m.members("an object of services")
		if err != nil {
			return err
		}
		for _, e := range entries {
			s := Service{Name: e.key}
			if err := e.fields(s.fields()); err != nil {
				return err
			}
			if strings.TrimSpace(s.Name) == "" || strings.ContainsAny(s.Name, "/\n") || s.Name[0] == '-' {
				return e.errorf("is not the name of a service")
			}
			set.Services = append(set.Services, s)
		}
		c.Services = append(c.Services, set)
	}
	return nil
}

func (s *Service) fields() fields {
	names := func(list *[]string) func(node) error {
		return func(n node) (err error) { *list, err = n.texts("a list of names"); return }
	}
	return fields{
		"enabled":       func(n node) (err error) { s.Enabled, err = n.boolean(); return },
		"ensureRunning": func(n node) (err error) { s.EnsureRunning, err = n.boolean(); return },
		"files":         names(&s.Files),
		"sources":       names(&s.Sources),
		"commands":      names(&s.Commands),
		"groups":        names(&s.Groups),
		"users":         names(&s.Users),
		"packages": func(n node) error {
			managers, err := n.members("an object of package managers and lists of packages")
			s.Packages = map[string][]string{}
			for _, m := range managers {
				if s.Packages[m.key], err = m.texts("a list of packages"); err != nil {
					return err
				}
			}
			return err
		},
	}
}

// fields are the keys of an entry and what reads each.
type fields map[string]func(node) error

func (n node) fields(f fields) error {
	members, err := n.members("an object")
	if err != nil {
		return err
	}
	for _, m := range members {
		read, ok := f[m.key]
		if !ok {
			m.unknown(f.keys())
			continue
		}
		if err := read(m.node); err != nil {
			return err
		}
	}
	return nil
}

func (f fields) keys() []string {
	var keys []string
	for k := range f {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// id reads a uid or gid: digits, in a string or as a number.
func (n node) id() (string, error) {
	const want = "a number, such as 1001"
	s, err := n.text(want)
	if err != nil {
		return "", err
	}
	s = strings.TrimSpace(s)
	if len(s) > 10 || strings.Trim(s, "0123456789") != "" {
		return "", n.errorf("is not a number: it must be digits, such as 1001")
	}
	return s, nil
}

func (n node) absolute(want string) (string, error) {
	s, err := n.text(want)
	if err == nil && s != "" && !path.IsAbs(s) {
		err = n.errorf("%q is a relative path: write it from the root, such as /%s", s, s)
	}
	return s, err
}

// duration reads a time: a number is seconds, a string may have a unit.
func (n node) duration() (time.Duration, error) {
	s, err := n.text("a time, such as 90 (seconds) or 5m")
	if err != nil || s == "" {
		return 0, err
	}
	d, err := ParseDuration(s)
	if err != nil {
		return 0, n.errorf("%w", err)
	}
	return d, nil
}
