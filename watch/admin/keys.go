package admin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/store"
)

// A KeyRequest asks for a new access key.
type KeyRequest struct {
	Project string        `json:"project"`
	Stack   string        `json:"stack,omitempty"` // name or id of the root stack that the key is bound to
	Role    watch.Role    `json:"role,omitempty"`  // empty: guest with a stack, else member
	For     time.Duration `json:"for,omitempty"`   // until it expires; 0: never
}

// A Key is an issued key as the operator sees it. Its secret is told once,
// when it is issued.
type Key struct {
	Access  string     `json:"access"`
	Secret  string     `json:"secret,omitempty"`
	Project string     `json:"project"`
	Stack   string     `json:"stack,omitempty"`
	Role    watch.Role `json:"role"`
	Created time.Time  `json:"created"`
	Expires time.Time  `json:"expires,omitzero"`
	Revoked time.Time  `json:"revoked,omitzero"`
}

// An Access names an access key.
type Access struct {
	Access string `json:"access"`
}

// Nothing is the answer, or the request, of a call that needs none.
type Nothing struct{}

var roles = []watch.Role{watch.Guest, watch.Reader, watch.Member}

func (s *Server) issueKey(ctx context.Context, _ string, in KeyRequest) (Key, error) {
	if in.Project == "" {
		return Key{}, errors.New("a key needs a project")
	}
	if in.Role == "" {
		in.Role = watch.Member
		if in.Stack != "" {
			in.Role = watch.Guest
		}
	}
	if !slices.Contains(roles, in.Role) {
		return Key{}, fmt.Errorf("a key has no role %q: there are %s", in.Role, join(roles))
	}
	if in.Stack != "" && in.Role != watch.Guest {
		return Key{}, fmt.Errorf("a stack binds guests alone, not role %s, which is of the whole project", in.Role)
	}
	now := time.Now().Truncate(time.Second)
	k := store.Key{
		Access: "CFNW" + rand.Text()[:16], Secret: awsquery.Secret(rand.Text() + rand.Text()[:14]),
		Project: in.Project, Stack: in.Stack, Role: in.Role, Created: now,
	}
	if in.For > 0 {
		k.Expires = now.Add(in.For)
	}
	if err := s.Store.PutKey(ctx, k); err != nil {
		return Key{}, err
	}
	shown := shownKey(k)
	shown.Secret = string(k.Secret)
	s.KeysChanged()
	return shown, nil
}

func (s *Server) revokeKey(ctx context.Context, _ string, in Access) (Nothing, error) {
	err := s.Store.RevokeKey(ctx, in.Access, time.Now())
	if err == nil {
		s.KeysChanged()
	}
	return Nothing{}, err
}

func (s *Server) listKeys(ctx context.Context, _ string, _ Nothing) ([]Key, error) {
	keys, err := s.Store.Keys(ctx)
	list := make([]Key, len(keys))
	for i, k := range keys {
		list[i] = shownKey(k)
	}
	return list, err
}

func shownKey(k store.Key) Key {
	return Key{Access: k.Access, Project: k.Project, Stack: k.Stack, Role: k.Role, Created: k.Created, Expires: k.Expires, Revoked: k.Revoked}
}

func join[S ~string](words []S) string {
	text := ""
	for i, w := range words {
		if i > 0 {
			text += ", "
		}
		text += string(w)
	}
	return text
}
