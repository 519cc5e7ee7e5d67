package metadata

import (
	"cmp"
	"errors"
	"path"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/pattern"
)

// scheme is what begins a URL (RFC 3986, 3.1).
var scheme = pattern.Lazy{Expr: `^[A-Za-z][A-Za-z0-9+.-]*:`}

var sections = []string{"packages", "groups", "users", "sources", "files", "commands", "services"}

// config reads one config. Every section may be absent or null.
func (n node) config() (Config, error) {
	var c Config
	members, err := n.members("an object of sections: " + strings.Join(sections, ", "))
	if err != nil {
		return c, err
	}
	err = each(members, func(m member) error {
		switch m.key {
		case "packages":
			return m.packages(&c)
		case "groups":
			return m.groups(&c)
		case "users":
			return m.users(&c)
		case "sources":
			return m.sources(&c)
		case "files":
			return m.files(&c)
		case "commands":
			return m.commands(&c)
		case "services":
			return m.services(&c)
		}
		m.unknown(sections)
		return nil
	})
	return c, err
}

// managerRank is the order of package managers that AWS documents, local
// package files first: "rpm, yum/apt, and then rubygems and python".
var managerRank = []string{"dpkg", "rpm", "apt", "yum", "dnf", "zypper"}

// packageManagers are those that something here installs with.
var packageManagers = []string{"apt", "dnf", "dpkg", "python", "rpm", "rubygems", "yum", "zypper"}

func (n node) packages(c *Config) error {
	managers, err := n.members("an object of package managers")
	if err != nil {
		return err
	}
	err = each(managers, func(m member) error {
		set := PackageSet{Manager: m.key}
		entries, err := m.members(`an object of packages, such as {"httpd": []}`)
		if err != nil {
			return err
		}
		err = each(entries, func(e member) error {
			p, err := e.pkg()
			set.Packages = append(set.Packages, p)
			return err
		})
		c.Packages = append(c.Packages, set)
		if len(entries) > 0 && !slices.Contains(packageManagers, m.key) {
			m.odd("its packages are left out", "unknown package manager: known are %s", strings.Join(packageManagers, ", "))
		}
		return err
	})
	sort.SliceStable(c.Packages, func(i, j int) bool {
		a, b := c.Packages[i].Manager, c.Packages[j].Manager
		return cmp.Or(rank(a)-rank(b), cmp.Compare(strings.ToLower(a), strings.ToLower(b))) < 0
	})
	return err
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
		err = each(members, func(e member) (err error) {
			switch e.key {
			case "version":
				versions = e.node
			case "venv":
				p.Venv, err = e.text("the path of a virtual environment")
			default:
				e.unknown([]string{"version", "venv"})
			}
			return err
		})
		if err != nil {
			return p, err
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
	return each(entries, func(e member) error {
		g := Group{Name: e.key}
		err := e.fields(fields{"gid": func(n node) (err error) { g.GID, err = n.id(); return }})
		c.Groups = append(c.Groups, g)
		return err
	})
}

func (n node) users(c *Config) error {
	entries, err := n.sorted("an object of users")
	if err != nil {
		return err
	}
	return each(entries, func(e member) error {
		u := User{Name: e.key}
		err := e.fields(fields{
			"uid":     func(n node) (err error) { u.UID, err = n.id(); return },
			"groups":  func(n node) (err error) { u.Groups, err = n.texts("a list of groups"); return },
			"homeDir": func(n node) (err error) { u.Home, err = n.absolute("the path of a directory"); return },
		})
		c.Users = append(c.Users, u)
		return err
	})
}

func (n node) sources(c *Config) error {
	entries, err := n.sorted("an object of directories and URLs")
	if err != nil {
		return err
	}
	return each(entries, func(e member) (err error) {
		const want = "the URL or path of an archive"
		s := Source{Dir: e.key}
		if s.URL, err = e.location(want); err != nil {
			return err
		}
		if !path.IsAbs(s.Dir) {
			return e.errorf("a source is unpacked into an absolute path, such as /opt/app")
		}
		if s.URL == "" {
			return e.wrong(want)
		}
		c.Sources = append(c.Sources, s)
		return nil
	})
}

func (n node) services(c *Config) error {
	managers, err := n.members("an object of service managers")
	if err != nil {
		return err
	}
	return each(managers, func(m member) error {
		set := ServiceSet{Manager: m.key}
		entries, err := m.members("an object of services")
		if err != nil {
			return err
		}
		err = each(entries, func(e member) error {
			s := Service{Name: e.key}
			err := e.fields(s.fields())
			if strings.TrimSpace(s.Name) == "" || strings.ContainsAny(s.Name, "/\n") || s.Name[0] == '-' {
				err = errors.Join(err, e.errorf("is not the name of a service"))
			}
			set.Services = append(set.Services, s)
			return err
		})
		c.Services = append(c.Services, set)
		if len(entries) > 0 && m.key != "systemd" && m.key != "sysvinit" {
			m.odd("its services are left out", "unknown service manager: known are systemd and sysvinit")
		}
		return err
	})
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
			if err != nil {
				return err
			}
			return each(managers, func(m member) (err error) {
				s.Packages[m.key], err = m.texts("a list of packages")
				return err
			})
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
	return each(members, func(m member) error {
		if read, ok := f[m.key]; ok {
			return read(m.node)
		}
		m.unknown(f.keys())
		return nil
	})
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

// location reads a URL, or an absolute path.
func (n node) location(want string) (string, error) {
	s, err := n.text(want)
	if err != nil {
		return "", err
	}
	trimmed := strings.TrimSpace(s)
	if trimmed != "" && !path.IsAbs(trimmed) && !scheme.Regexp().MatchString(trimmed) {
		return s, n.errorf("is neither a URL nor an absolute path: it must be %s", want)
	}
	return s, nil
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
