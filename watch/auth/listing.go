package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"time"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/watch"
)

const (
	listFor   = 2 * time.Minute  // one listing of one kind may take
	listAgain = 15 * time.Second // after one that failed
	maxPages  = 10_000
)

// What the identity API v3 of Keystone says of its resources, as far as it
// matters here.
type (
	domain struct {
		ID, Name string
		Enabled  bool
	}
	user struct {
		ID       string
		DomainID string `json:"domain_id"`
		Enabled  bool
	}
	project struct {
		ID, Name string
		DomainID string `json:"domain_id"`
		Enabled  bool
	}
	assignment struct {
		Role  struct{ ID, Name string }
		User  struct{ ID string }
		Scope struct{ Project struct{ ID string } }
	}
	credential struct {
		ID, Type, Blob string
		UserID         string `json:"user_id"`
		ProjectID      string `json:"project_id"`
	}
)

// credentialID is the id of the EC2 credential of an access key.
func credentialID(access string) string {
	sum := sha256.Sum256([]byte(access))
	return hex.EncodeToString(sum[:])
}

// entry is what a credential says. A user may write what they like into a
// credential of theirs, so the access key must be the one that its id is of.
func (c credential) entry(read time.Time) (*entry, bool) {
	var blob struct {
		Access, Secret string
		Trust          string `json:"trust_id"`
		AppCred        string `json:"app_cred_id"`
		AccessToken    string `json:"access_token_id"`
	}
	err := json.Unmarshal([]byte(c.Blob), &blob)
	if err != nil || c.Type != "ec2" || credentialID(blob.Access) != c.ID || blob.Secret == "" || c.UserID == "" || c.ProjectID == "" {
		return nil, false
	}
	return &entry{
		key:  &Key{Caller: watch.Caller{Access: blob.Access}, Checker: awsquery.Checker{Secret: awsquery.Secret(blob.Secret)}},
		user: c.UserID, project: c.ProjectID, read: read,
		delegated: blob.Trust != "" || blob.AppCred != "" || blob.AccessToken != "",
	}, true
}

// A listing is all of Keystone that says who has which credential, but for the
// users and projects outside the domain of stacks.
type listing struct {
	began       time.Time
	domains     map[string]domain
	users       map[string]user    // of the domain of stacks
	projects    map[string]project // of it
	stackUsers  map[[2]string]bool // user and project, where the one is a stack's in the other
	credentials []credential
}

// run lists again and again, so that what is known is never older than Cache
// while Keystone answers.
func (d *directory) run(ctx context.Context) {
	for first := true; ; first = false {
		began := time.Now()
		err := d.refresh(ctx)
		if first {
			close(d.ready)
		}
		d.mu.Lock()
		d.failing = err != nil
		d.mu.Unlock()
		wait := listAgain
		if err == nil {
			// A tenth for the listing itself, or twice what this one took.
			wait = max(d.options.Cache/5, d.options.Cache*9/10-2*time.Since(began))
		}
		wait = min(wait, d.options.Cache)
		if !pause(ctx, nil, min(wait, d.options.Cache/10)) || !pause(ctx, d.wanted, wait-d.options.Cache/10) {
			return
		}
	}
}

// pause waits, less long when woken; false: ctx is done.
func pause(ctx context.Context, wake <-chan struct{}, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-wake:
	case <-time.After(d):
	}
	return true
}

// refresh lists all and puts it in place of what was known. The work is done
// on a copy, so that nobody waits for it.
func (d *directory) refresh(ctx context.Context) error {
	l, err := d.list(ctx)
	if err != nil {
		return err
	}
	d.mu.RLock()
	old := maps.Clone(d.entries)
	d.mu.RUnlock()
	entries := make(map[string]*entry, len(l.credentials))
	for _, c := range l.credentials {
		if e, ok := c.entry(l.began); ok {
			e.inherit(old[e.key.Access])
			entries[e.key.Access] = l.check(e, d.options.StackDomain)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for access, now := range d.entries {
		e := entries[access]
		switch {
		case now.read.After(l.began): // by itself while the listing ran
			entries[access] = now
		case e != nil && now.checked.After(l.began):
			e.inherit(now)
		}
	}
	d.entries, d.domains, d.listed = entries, l.domains, l.began
	return nil
}

// check is e with its holder, where the listing says that it is a guest or
// disabled. What it does not say of the domain of stacks may have been made
// while it ran: then the next push has it looked at.
func (l *listing) check(e *entry, stackDomain string) *entry {
	u, isUser := l.users[e.user]
	p, isProject := l.projects[e.project]
	if !isUser || !isProject {
		return e
	}
	h := holder{project: p.ID, projectName: p.Name, domain: p.DomainID}
	if l.stackUsers[[2]string{e.user, e.project}] {
		h.roles = []string{stackUser}
	}
	off := !u.Enabled || !p.Enabled || !l.domains[p.DomainID].Enabled
	var refusal error
	if off {
		refusal = denied("the key's user or project is disabled")
	}
	e = e.held(l.began, h, stackDomain, l.domains[p.DomainID].Name, refusal)
	if e.listed = off || e.refusal == nil; !e.listed {
		e.checked = time.Time{}
	}
	return e
}

// list asks for all. The credentials come last: those that are made meanwhile
// have their users and projects in the listings before, or are left for later.
func (d *directory) list(ctx context.Context) (*listing, error) {
	l := &listing{began: time.Now(), domains: map[string]domain{}, users: map[string]user{}, projects: map[string]project{}, stackUsers: map[[2]string]bool{}}
	var of string
	err := each(ctx, d, "domains", nil, func(x domain) {
		l.domains[x.ID] = x
		if x.ID == d.options.StackDomain || x.Name == d.options.StackDomain {
			of = x.ID
		}
	})
	if err != nil {
		return nil, err
	}
	if of == "" {
		d.log.Warn("Keystone has no domain of stacks, so no key is a guest's: see stack_domain", "name", d.options.StackDomain)
	} else if err := d.listStacks(ctx, l, of); err != nil {
		return nil, err
	}
	err = each(ctx, d, "credentials", url.Values{"type": {"ec2"}}, func(x credential) { l.credentials = append(l.credentials, x) })
	return l, err
}

// listStacks lists the domain of stacks.
func (d *directory) listStacks(ctx context.Context, l *listing, of string) error {
	in := url.Values{"domain_id": {of}}
	if err := each(ctx, d, "users", in, func(x user) { l.users[x.ID] = x }); err != nil {
		return err
	}
	if err := each(ctx, d, "projects", in, func(x project) { l.projects[x.ID] = x }); err != nil {
		return err
	}
	var role string
	if err := each(ctx, d, "roles", url.Values{"name": {stackUser}}, func(x domain) { role = x.ID }); err != nil || role == "" {
		return err
	}
	return each(ctx, d, "role_assignments", url.Values{"role.id": {role}}, func(x assignment) {
		l.stackUsers[[2]string{x.User.ID, x.Scope.Project.ID}] = true
	})
}

// each calls f with each resource of a kind, page by page where Keystone gives
// pages.
func each[T any](ctx context.Context, d *directory, kind string, query url.Values, f func(T)) error {
	for range maxPages {
		var answer map[string]json.RawMessage
		var links struct{ Next string }
		var items []T
		if err := d.page(ctx, kind+"?"+query.Encode(), &answer); err != nil {
			return err
		}
		if err := json.Unmarshal(answer[kind], &items); err != nil {
			return fmt.Errorf("GET %s: %w", kind, err)
		}
		for _, item := range items {
			f(item)
		}
		_ = json.Unmarshal(answer["links"], &links) // without them there is one page
		next, err := url.Parse(links.Next)
		if err != nil || links.Next == "" {
			if string(answer["truncated"]) == "true" {
				d.log.Warn("Keystone cuts its listings: raise list_limit, or keys beyond it are read one by one", "kind", kind)
			}
			return nil
		}
		query = next.Query()
	}
	return fmt.Errorf("GET %s: more than %d pages", kind, maxPages)
}

func (d *directory) page(ctx context.Context, path string, to any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, listFor, fmt.Errorf("no answer in %s", listFor))
	defer cancel()
	return d.session.get(ctx, path, to)
}
