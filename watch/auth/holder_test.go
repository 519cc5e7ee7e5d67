package auth

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

func TestHolder(t *testing.T) {
	const (
		owner = "b004c4f997d74b15b3c9b29ee0d50fa2"
		stack = "11111111-2222-4333-8444-5555555"
	)
	in := func(domain, name string, roles ...string) holder {
		return holder{project: "p", projectName: name, domain: domain, domainName: domain + " name", roles: roles}
	}
	for name, tt := range map[string]struct {
		h    holder
		want watch.Caller
		code string
	}{
		"stack user":                   {in("heat", owner+"-"+stack, stackUser), watch.Caller{Access: "a", Project: owner, Stack: stack, Role: watch.Guest}, ""},
		"by the name of the domain":    {holder{project: "p", projectName: owner + "-" + stack, domain: "id", domainName: "heat", roles: []string{stackUser}}, watch.Caller{Access: "a", Project: owner, Stack: stack, Role: watch.Guest}, ""},
		"member of a stack's project":  {in("heat", owner+"-"+stack, "member"), nobody, AccessDenied},
		"project of no stack":          {in("heat", "service", stackUser), nobody, AccessDenied},
		"name cut short":               {in("heat", owner+"-"+stack[:30], stackUser), nobody, AccessDenied},
		"no hexadecimal digits":        {in("heat", strings.Replace(owner, "b", "x", 1)+"-"+stack, stackUser), nobody, AccessDenied},
		"dashes elsewhere":             {in("heat", owner+"-"+"1111111-12222-4333-8444-5555555", stackUser), nobody, AccessDenied},
		"the name in another domain":   {in("default", owner+"-"+stack, "member"), watch.Caller{Access: "a", Project: "p", Role: watch.Member}, ""},
		"stack user of another domain": {in("default", owner+"-"+stack, stackUser), nobody, AccessDenied},
		"admin":                        {in("default", "demo", "admin"), watch.Caller{Access: "a", Project: "p", Role: watch.Member}, ""},
		"owner of stacks":              {in("default", "demo", "heat_stack_owner"), watch.Caller{Access: "a", Project: "p", Role: watch.Member}, ""},
		"reader":                       {in("default", "demo", "x", "reader"), watch.Caller{Access: "a", Project: "p", Role: watch.Reader}, ""},
		"reader and member":            {in("default", "demo", "reader", "member"), watch.Caller{Access: "a", Project: "p", Role: watch.Member}, ""},
		"nothing that means something": {in("default", "demo", "auditor"), nobody, AccessDenied},
		"no role":                      {in("default", "demo"), nobody, AccessDenied},
	} {
		got, err := tt.h.caller("a", "heat")
		if got != tt.want || code(err) != tt.code {
			t.Errorf("%s: caller = %+v, %v, want %+v, code %q", name, got, err, tt.want, tt.code)
		}
		if name == "stack user of another domain" && !strings.Contains(err.Error(), "see stack_domain") {
			t.Errorf("%s: %v, want a word about stack_domain", name, err)
		}
	}
}

// A credential that is given to another user or project is theirs, whatever was
// known of whom it belonged to before; also if that was being looked at
// meanwhile.
func TestCredentialThatIsGivenAway(t *testing.T) {
	theirs := member
	theirs.Access = guestKey
	for name, tt := range map[string]struct {
		give [][2]string
		want watch.Caller
		code string
	}{
		"to a user in another project":  {[][2]string{{guestUser, memberUser}, {guestProject, owner}}, theirs, ""},
		"to a user who is no stack's":   {[][2]string{{guestUser, memberUser}}, nobody, AccessDenied},
		"to a project that is no stack": {[][2]string{{guestProject, owner}}, nobody, AccessDenied},
	} {
		give := func(x trial, answer string) {
			for _, g := range tt.give {
				x.replace(answer, g[0], g[1])
			}
		}
		t.Run(name+", by a listing", func(t *testing.T) {
			try(t, true, func(x trial) {
				x.atOnce("before", guestKey, guestSecret, guest, "")
				give(x, "credentials")
				time.Sleep(5 * time.Minute)
				x.wants("after", guestKey, guestSecret, tt.want, tt.code)
			})
		})
		t.Run(name+", while it is looked at", func(t *testing.T) {
			tryWith(t, KeystoneOptions{Lookup: true}, func(x trial) {
				x.replace("role_assignments", guestProject, "another") // so that no listing says whose it is
				x.start()
				time.Sleep(rereadAfter)
				x.set(func(k *keystone) { k.delay = 3 * time.Second })
				var asked sync.WaitGroup
				defer asked.Wait()
				asked.Go(func() { x.wants("whose it was when it was asked for", guestKey, guestSecret, guest, "") }) // takes 9 s
				time.Sleep(4 * time.Second)
				give(x, "credential-guest")
				x.replace("credential-guest", guestSecret, "new")
				asked.Go(func() { x.wants("after", guestKey, "new", tt.want, tt.code) }) // takes 12 s
				time.Sleep(6 * time.Second)
				x.wants("when the first has been answered", guestKey, "new", tt.want, tt.code)
				x.wants("from then on", guestKey, "new", tt.want, tt.code)
			})
		})
	}
}

// A listing that takes long finds a credential given away to a guest, after its
// old user was looked at while it ran: whose it is now is what counts.
func TestCredentialThatIsGivenAwayDuringAListing(t *testing.T) {
	theirs := guest
	theirs.Access = memberKey
	tryWith(t, KeystoneOptions{Lookup: true}, func(x trial) {
		x.start()
		time.Sleep(20 * time.Second)
		x.wants("before", memberKey, memberSecret, member, "")
		time.Sleep(4 * time.Minute)
		x.set(func(k *keystone) { k.delay = 6 * time.Second })
		time.Sleep(15 * time.Second) // in the listing that began after 4.5 minutes
		x.atOnce("while it is listed", memberKey, memberSecret, member, "")
		time.Sleep(20 * time.Second)
		x.replace("credentials", memberUser, guestUser)
		x.replace("credentials", owner, guestProject)
		time.Sleep(20 * time.Second)
		x.set(func(k *keystone) { k.delay = 0 })
		x.atOnce("after the listing", memberKey, memberSecret, theirs, "")
	})
}

// What is taken apart is put together again, and holds nothing else.
func FuzzSplitProject(f *testing.F) {
	f.Add("b004c4f997d74b15b3c9b29ee0d50fa2-11111111-2222-4333-8444-5555555")
	f.Fuzz(func(t *testing.T, name string) {
		owner, stack, ok := splitProject(name)
		if !ok {
			return
		}
		if owner+"-"+stack != name || len(owner) != 32 || strings.Trim(owner, "0123456789abcdef") != "" || strings.Trim(stack, "0123456789abcdef-") != "" {
			t.Errorf("splitProject(%q) = %q, %q", name, owner, stack)
		}
	})
}
