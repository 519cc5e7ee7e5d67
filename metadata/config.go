package metadata

import "time"

// A Config is one config of AWS::CloudFormation::Init. Its slices are in the
// order in which they are applied: packages by rank of their manager, groups,
// users and commands by name, sources and files by path, services as written.
type Config struct {
	Name     string
	Packages []PackageSet
	Groups   []Group
	Users    []User
	Sources  []Source
	Files    []File
	Commands []Command
	Services []ServiceSet
}

// A PackageSet is what one package manager is to install.
type PackageSet struct {
	Manager  string // apt, yum, dnf, ...: as written, known or not
	Packages []Package
}

// A Package is one entry of a package manager.
type Package struct {
	Name     string
	Versions []string // none: any version; for rpm and dpkg, URLs or paths
	Venv     string   // python only: the virtual environment to install into
}

// A Group is one entry of the groups section.
type Group struct {
	Name string
	GID  string // decimal; empty: the system picks one
}

// A User is one entry of the users section.
type User struct {
	Name   string
	UID    string // decimal; empty: the system picks one
	Groups []string
	Home   string
}

// A Source is one entry of the sources section: an archive and the directory
// it is unpacked into.
type Source struct {
	Dir    string
	URL    string // http, https, s3, file, or a plain path
	SHA256 string // in hexadecimal; empty: not checked
}

// A File is one entry of the files section.
type File struct {
	Path           string
	Content        []byte // what the file is to hold, decoded; for a symlink its target
	HasContent     bool   // an empty file is content too
	Source         string // URL, when there is no content
	SHA256         string // of what Source gives, in hexadecimal; empty: not checked
	Context        map[string]any
	HasContext     bool // render content or source as Mustache, even with an empty context
	Mode           Mode
	Owner, Group   string
	Authentication string // name of an entry of AWS::CloudFormation::Authentication
}

// A Mode is the mode of a file as the metadata gives it. The zero value
// leaves the mode to the file that is there, or the default.
type Mode struct {
	Bits    uint32 // permission bits and setuid, setgid, sticky: at most 07777
	Set     bool
	Symlink bool // the mode begins with 120
}

// A CommandLine is something to run: a line for a shell, or a program and its
// arguments. The zero value is none.
type CommandLine struct {
	Shell string
	Args  []string
}

// A Command is one entry of the commands section.
type Command struct {
	Name         string
	Command      CommandLine
	Test         CommandLine
	Env          map[string]string
	HasEnv       bool // an env, even an empty one, replaces the whole environment
	Dir          string
	IgnoreErrors bool
	RunAs        string
	Timeout      time.Duration // 0: the default; NoTimeout: none
	Wait         time.Duration // after it has ended
	WaitForever  bool          // the command reboots: go on after the boot
}

// NoTimeout as the Timeout of a Command lets it run for ever.
const NoTimeout = time.Duration(-1)

// A ServiceSet is what one service manager is to see to.
type ServiceSet struct {
	Manager  string // systemd, sysvinit, ...: as written, known or not
	Services []Service
}

// A Service is one entry of a service manager.
type Service struct {
	Name          string
	Enabled       *bool // at boot; nil: leave it
	EnsureRunning *bool // now; nil: leave it
	// What restarts the service when it changed in the same config. Packages
	// maps a package manager to names.
	Files, Sources, Commands, Groups, Users []string
	Packages                                map[string][]string
}

// Zero says that there is nothing to run.
func (c CommandLine) Zero() bool { return c.Shell == "" && len(c.Args) == 0 }
