package auth

import (
	"slices"

	"github.com/cfn-agent/cfn-agent/watch"
)

// Roles of Keystone that mean something here.
var (
	memberRoles = []string{"member", "_member_", "admin", "heat_stack_owner"}
	readerRoles = []string{"reader"}
)

// stackUser is the role that Heat gives the users that it makes for guests.
const stackUser = "heat_stack_user"

// A holder is whom Keystone says that a credential belongs to: the roles that
// its user has in its project.
type holder struct {
	project, projectName string
	domain, domainName   string // of the project
	roles                []string
}

// caller is what a holder is here. Heat calls the project of a stack's users
// by the owner's project and the stack's id, and Keystone takes 64 characters
// of that; a project of any other domain may be called the same by anybody, so
// there a name means nothing.
func (h holder) caller(access, stackDomain string) (watch.Caller, error) {
	c := watch.Caller{Access: access, Project: h.project}
	has := func(role string) bool { return slices.Contains(h.roles, role) }
	switch {
	case h.domain == stackDomain || h.domainName == stackDomain:
		owner, stack, ok := splitProject(h.projectName)
		if !ok || !has(stackUser) {
			return watch.Caller{}, denied("the key's user is none of a stack")
		}
		c.Project, c.Stack, c.Role = owner, stack, watch.Guest
	case slices.ContainsFunc(memberRoles, has):
		c.Role = watch.Member
	case slices.ContainsFunc(readerRoles, has):
		c.Role = watch.Reader
	case has(stackUser):
		return watch.Caller{}, denied("the key's user is one of a stack, and the domain of its project is not that of stacks: see stack_domain")
	default:
		return watch.Caller{}, denied("the key's user has none of the roles member, reader, heat_stack_owner in its project")
	}
	return c, nil
}

// splitProject takes the name of a stack's project apart: 32 hexadecimal
// digits, a dash, and the first 31 characters of a UUID.
func splitProject(name string) (owner, stack string, ok bool) {
	const owned = 32
	if len(name) != owned+1+31 || name[owned] != '-' {
		return "", "", false
	}
	owner, stack = name[:owned], name[owned+1:]
	for i := range name {
		c := name[i]
		dash := i == owned || i > owned && slices.Contains([]int{8, 13, 18, 23}, i-owned-1)
		if dash != (c == '-') || !dash && !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return "", "", false
		}
	}
	return owner, stack, true
}
