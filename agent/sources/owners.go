package sources

import (
	"context"
	"os"
	"strconv"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// owners finds who members belong to: the account of the name if there is
// one here, else that of the number, else root. A process that is not root
// keeps all to itself.
type owners struct {
	root             bool
	byName, byNumber func(database, key string) int
	known            map[string]int // by database and key; -1: there is none
}

func newOwners(ctx context.Context, s *sys.System) *owners {
	return &owners{
		root:     os.Geteuid() == 0,
		byName:   func(database, name string) int { return byName(ctx, s, database, name) },
		byNumber: func(database, id string) int { return byNumber(ctx, s, database, id) },
		known:    map[string]int{},
	}
}

// of returns the owner for a member; -1 stands for the process's own.
func (o *owners) of(m member) (uid, gid int) {
	if !o.root {
		return -1, -1
	}
	return o.find("passwd", m.user, m.uid), o.find("group", m.group, m.gid)
}

func (o *owners) find(database, name string, id int) int {
	if name != "" {
		if n := o.cached(database, name, o.byName); n >= 0 {
			return n
		}
	}
	if id > 0 && o.cached(database, strconv.Itoa(id), o.byNumber) >= 0 {
		return id
	}
	return 0
}

func (o *owners) cached(database, key string, look func(database, key string) int) int {
	n, known := o.known[database+" "+key]
	if !known {
		n = look(database, key)
		o.known[database+" "+key] = n
	}
	return n
}

func byName(ctx context.Context, s *sys.System, database, name string) int {
	var fields []string
	var err error
	if database == "passwd" {
		fields, err = s.Passwd(ctx, name)
	} else {
		fields, err = s.Group(ctx, name)
	}
	if err != nil {
		return -1
	}
	return number(fields)
}

// byNumber looks for the account that has a number, in the file and, on a
// real machine, with getent, which knows the directories of the network.
func byNumber(ctx context.Context, s *sys.System, database, id string) int {
	data, _ := os.ReadFile(s.Path("/etc/" + database))
	if s.Real() {
		res, err := s.Run(ctx, sys.Cmd{Args: []string{"getent", database, id}, Env: s.Environ})
		if err == nil && res.Status == 0 {
			data = append(append(data, '\n'), res.Stdout...)
		}
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Split(strings.TrimSpace(line), ":"); len(fields) > 2 && fields[2] == id {
			return number(fields)
		}
	}
	return -1
}

func number(fields []string) int {
	n, err := strconv.ParseUint(fields[2], 10, 32)
	if err != nil {
		return -1
	}
	return int(n)
}
