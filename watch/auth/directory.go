package auth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/watch"
)

const (
	getsPerSecond = 5               // single calls, for keys that no listing knew
	getsWaitFor   = 5 * time.Second // longer than that, the next listing is sooner
	rereadAfter   = 30 * time.Second
	rereadPause   = 5 * time.Second // after one that failed
	knownWaits    = 2 * time.Second // at most, where its user is to be looked at again
)

// errDelegated says that a credential acts by a trust, an application
// credential or an OAuth token: what it may is Keystone's to say each time.
var errDelegated = errors.New("the access key is delegated")

// A directory keeps the secrets of EC2 credentials, in memory alone, and who
// has them. All of Keystone is listed again and again; in between, one key is
// read by itself when it is not known, when a signature is not its, or when
// its user, who is not in the listings, was last looked at too long ago.
type directory struct {
	session *session
	options KeystoneOptions
	log     *slog.Logger
	load    *Load

	flights singleflight.Group
	singles *rate.Limiter
	absent  *recall
	unread  *recall       // keys that could not be read again a moment ago
	wanted  chan struct{} // a listing is, sooner
	ready   chan struct{} // closed when the first listing has ended, well or not

	mu      sync.RWMutex
	entries map[string]*entry // by access key
	domains map[string]domain // by id
	listed  time.Time         // when the last listing began that came to its end
	failing bool              // listings since then have failed
	silent  bool              // the last single call was not answered
}

// An entry is a credential and who has it. It is not changed but replaced.
type entry struct {
	key           *Key // Caller is of no use before checked
	user, project string
	delegated     bool

	read    time.Time // the credential
	checked time.Time // its user and project; zero: never
	listed  bool      // by a listing of all
	refusal error     // what they are told instead; nil: key.Caller
}

func newDirectory(s *session, o KeystoneOptions, load *Load) *directory {
	return &directory{
		session: s, options: o, log: o.Log, load: load,
		singles: rate.NewLimiter(getsPerSecond, getsPerSecond),
		wanted:  make(chan struct{}, 1), ready: make(chan struct{}),
		entries: map[string]*entry{}, absent: newAbsence(),
		unread: &recall{last: rereadPause, limit: absentLimit},
	}
}

// caller is who made s. A key that is known and in use never waits.
func (d *directory) caller(ctx context.Context, s *awsquery.Signature) (watch.Caller, error) {
	e := d.find(s.Access)
	var err error
	if e != nil {
		d.load.Known.Add(1)
	} else if e, err = d.read(ctx, s.Access, time.Time{}); err != nil {
		return watch.Caller{}, err
	}
	if !e.delegated && !e.key.Made(s) {
		if time.Since(e.read) < rereadAfter {
			return watch.Caller{}, mismatch()
		}
		if e, err = d.readAgain(ctx, s.Access, e.read); err != nil {
			return watch.Caller{}, err
		}
	}
	switch {
	case e.delegated:
		return watch.Caller{}, errDelegated
	case !e.key.Made(s):
		return watch.Caller{}, mismatch()
	}
	if e, err = d.fresh(ctx, e); err != nil {
		return watch.Caller{}, err
	}
	return e.key.Caller, e.refusal
}

// find is what is known of a key and not stale; nil: nothing.
func (d *directory) find(access string) *entry {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if e := d.entries[access]; e != nil && time.Since(e.read) < d.options.Stale {
		return e
	}
	return nil
}

func (d *directory) put(e *entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries[e.key.Access] = e
}

// read reads one credential, unless a listing has since brought one newer than
// that.
func (d *directory) read(ctx context.Context, access string, than time.Time) (*entry, error) {
	select {
	case <-d.ready: // until then all keys are on their way
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return share(ctx, &d.flights, "credential "+access, func(ctx context.Context) (*entry, error) {
		if e := d.find(access); e != nil && e.read.After(than) {
			return e, nil
		}
		if d.absent.has(access) {
			return nil, notKnown()
		}
		began := time.Now()
		var answer struct{ Credential credential }
		err := d.get(ctx, "credentials/"+credentialID(access), &answer)
		switch {
		case answered(err, http.StatusNotFound):
			d.forget(access)
			return nil, notKnown()
		case err != nil:
			return nil, err
		}
		e, ok := answer.Credential.entry(began)
		if !ok || e.key.Access != access {
			d.forget(access)
			return nil, notKnown()
		}
		e.inherit(d.find(access))
		d.put(e)
		return e, nil
	})
}

var errUnread = errors.New("the access key could not be read again a moment ago")

// readAgain is read for a signature that does not match. Anybody can make such
// signatures: what failed is not tried for each of them, not even for those
// that come at the moment at which it fails.
func (d *directory) readAgain(ctx context.Context, access string, than time.Time) (*entry, error) {
	return share(ctx, &d.flights, "again "+access, func(ctx context.Context) (*entry, error) {
		if d.unread.has(access) {
			return nil, errUnread
		}
		e, err := d.read(ctx, access, than)
		if _, refused := errors.AsType[*Error](err); err != nil && !refused {
			d.unread.add(access)
		}
		return e, err
	})
}

func (d *directory) forget(access string) {
	d.absent.add(access)
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.entries, access)
}

// single waits for the turn of a call for one key. Where it would come too late
// it takes none: one that is taken and given back is lost when another came in
// between, and a flood would leave no turns for long after it.
func (d *directory) single(ctx context.Context) error {
	turn, cancel := context.WithTimeout(ctx, getsWaitFor)
	defer cancel()
	switch err := d.singles.Wait(turn); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	select {
	case d.wanted <- struct{}{}:
	default:
	}
	return errBusy
}

// fresh is e with a holder that was looked at less than Cache ago. The next
// look is due a little before that, and nobody waits for it. Who comes later
// waits, but not for a Keystone that does not answer: then what was known goes
// on until it is stale. Guests never wait, listings look at them.
func (d *directory) fresh(ctx context.Context, e *entry) (*entry, error) {
	check := func(ctx context.Context) (*entry, error) { return d.check(ctx, e) }
	// What is found of one holder is nobody else's to whom the key is given meanwhile.
	name := strings.Join([]string{"holder", e.key.Access, e.user, e.project}, " ")
	age, due := time.Since(e.checked), d.options.Cache*4/5
	if e.refusal != nil {
		due = min(due, absentFor)
	}
	switch {
	case e.listed, age < due:
		return e, nil
	case age > d.options.Stale:
		return share(ctx, &d.flights, name, check)
	case age < d.options.Cache, d.away():
		begin(ctx, &d.flights, name, check)
		return e, nil
	}
	ctx, cancel := context.WithTimeout(ctx, knownWaits)
	defer cancel()
	if now, err := share(ctx, &d.flights, name, check); err == nil {
		return now, nil
	}
	return e, nil
}

// away says that Keystone did not answer when it was asked last.
func (d *directory) away() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.failing || d.silent
}

// get is one call for one key, when its turn comes.
func (d *directory) get(ctx context.Context, path string, to any) error {
	if err := d.single(ctx); err != nil {
		return err
	}
	err := d.session.get(ctx, path, to)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.silent = err != nil && !answered(err, http.StatusNotFound)
	return err
}

// check looks at the user and the project of a credential, and at the roles of
// the one in the other.
func (d *directory) check(ctx context.Context, e *entry) (*entry, error) {
	if now := d.find(e.key.Access); e.sameHolder(now) && now.checked.After(e.checked) {
		return now, nil
	}
	began := time.Now()
	var u struct{ User user }
	var p struct{ Project project }
	var a struct {
		Assignments []assignment `json:"role_assignments"`
	}
	query := url.Values{"user.id": {e.user}, "scope.project.id": {e.project}, "effective": {"true"}, "include_names": {"true"}}
	for _, get := range []struct {
		path string
		to   any
	}{{"users/" + e.user, &u}, {"projects/" + e.project, &p}, {"role_assignments?" + query.Encode(), &a}} {
		err := d.get(ctx, get.path, get.to)
		if answered(err, http.StatusNotFound) {
			return d.checked(e, began, holder{}, denied("the key's user or project is gone")), nil
		}
		if err != nil {
			return nil, err
		}
	}
	h := holder{project: e.project, projectName: p.Project.Name, domain: p.Project.DomainID}
	for _, one := range a.Assignments {
		h.roles = append(h.roles, one.Role.Name)
	}
	return d.checked(e, began, h, d.disabled(u.User, p.Project)), nil
}

// disabled refuses what Keystone would for a switch that is off; nil: nothing.
func (d *directory) disabled(u user, p project) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	off := func(id string) bool { known, ok := d.domains[id]; return ok && !known.Enabled }
	if !u.Enabled || !p.Enabled || off(u.DomainID) || off(p.DomainID) {
		return denied("the key's user or project is disabled")
	}
	return nil
}

// checked is e with what is now known of its holder. It takes its place, or
// that of what was read of the credential meanwhile.
func (d *directory) checked(e *entry, at time.Time, h holder, refusal error) *entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.entries[e.key.Access]
	known := e.sameHolder(now)
	if known {
		e = now
	}
	e = e.held(at, h, d.options.StackDomain, d.domains[h.domain].Name, refusal)
	if known {
		d.entries[e.key.Access] = e
	}
	return e
}

// held is e of a holder as of a time.
func (e *entry) held(at time.Time, h holder, stackDomain, domainName string, refusal error) *entry {
	n := *e
	n.checked, n.refusal, n.listed = at, refusal, false
	if refusal != nil {
		return &n
	}
	h.domainName = domainName
	caller, err := h.caller(e.key.Access, stackDomain)
	n.refusal = err
	if err == nil && caller != e.key.Caller {
		n.key = &Key{Caller: caller, Checker: awsquery.Checker{Secret: e.key.Secret}}
	}
	return &n
}

// sameHolder says whether another entry, if there is one, belongs to the same.
func (e *entry) sameHolder(other *entry) bool {
	return other != nil && other.user == e.user && other.project == e.project
}

// inherit takes over what an older entry of the same credential knows.
func (e *entry) inherit(old *entry) {
	if !e.sameHolder(old) {
		return
	}
	e.checked, e.refusal, e.listed = old.checked, old.refusal, old.listed
	if old.key.Secret == e.key.Secret {
		e.key = old.key
	} else {
		e.key.Caller = old.key.Caller
	}
}
