package outbox

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// storms are the domains, projects and all of them together, where so many
// guests are overdue at once that the fault is elsewhere: nothing rough is done
// there. Overdue guests are counted, not silent ones: of guests that fell out
// of reach in one moment the first is silent a whole period before the last.
type storms struct {
	mu sync.Mutex
	in map[string]*storm
}

type storm struct {
	census watch.Census // when it was last looked at
	since  time.Time
	from   time.Time // since, or that of a storm just before: in a short break nothing could go
	ended  time.Time // zero: it goes on
	waived bool      // an operator lets actions go all the same
	told   bool      // the operator was, of what it holds since from
	tell   time.Time // when that is next to be thought of
}

// A Storm is what an operator is told of one.
type Storm struct {
	Domain  string    `json:"domain"` // a project, or all
	Overdue int       `json:"overdue"`
	Alive   int       `json:"alive"` // they too, and whoever came since the first of them fell overdue
	Since   time.Time `json:"since"`
	Waived  bool      `json:"waived,omitempty"` // an operator lets actions go all the same
}

// isStorm says whether a count is one.
func (g Gates) isStorm(domain string, c watch.Census) bool {
	share := g.StormShareDomain
	if domain == watch.AllProjects {
		share = g.StormShare
	}
	return c.Counted > g.StormCount && float64(c.Counted) >= share*float64(c.Alive)
}

// look notes what a census says of a domain, and returns an event when a storm
// begins or ends.
func (s *storms) look(g Gates, domain string, c watch.Census, now time.Time) (storm, *watch.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.in[domain]
	goes := st != nil && st.ended.IsZero()
	switch is := g.isStorm(domain, c); {
	case is && !goes:
		return s.begin(domain, c, now, now.Add(g.HoldFor)), stormEvent(domain, now, "storm: nothing rough is done: "+count(domain, c, g))
	case is:
		st.census = c
	case goes:
		st.census, st.ended = c, now
		return *st, stormEvent(domain, now, "storm is over: "+count(domain, c, g))
	case st == nil:
		return storm{}, nil
	}
	return *st, nil
}

func (s *storms) begin(domain string, c watch.Census, now, tell time.Time) storm {
	st := &storm{since: now, from: now, census: c, tell: tell}
	if last := s.in[domain]; last != nil && now.Sub(last.ended) < stormRecheck {
		st.from, st.told, st.tell = last.from, last.told, last.tell
	}
	if s.in == nil {
		s.in = map[string]*storm{}
	}
	s.in[domain] = st
	return *st
}

func count(domain string, c watch.Census, g Gates) string {
	share := g.StormShareDomain
	if domain == watch.AllProjects {
		share = g.StormShare
	}
	return fmt.Sprintf("%d of %d guests of %s overdue since %s, limit %.0f %%", c.Overdue, c.Alive, domainName(domain), clock(c.Since), 100*share)
}

func domainName(domain string) string {
	if domain == watch.AllProjects {
		return "all projects"
	}
	return "project " + domain
}

func stormEvent(domain string, now time.Time, text string) *watch.Event {
	e := watch.Event{At: now, Kind: watch.Gate, Key: stormKey(domain), Summary: text}
	if domain != watch.AllProjects {
		e.Project = domain
	}
	return &e
}

// under lists the domains whose storms go on.
func (s *storms) under() map[string]storm {
	s.mu.Lock()
	defer s.mu.Unlock()
	going := map[string]storm{}
	for domain, st := range s.in {
		if st.ended.IsZero() {
			going[domain] = *st
		}
	}
	return going
}

// follow has the times of storms follow a clock that was set.
func (s *storms) follow(step time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.in {
		for _, at := range []*time.Time{&st.since, &st.from, &st.ended, &st.tell} {
			if !at.IsZero() {
				*at = at.Add(step)
			}
		}
	}
}

// watchStorms looks at storms that go on, and makes what they held due when
// one is over.
func (o *Outbox) watchStorms(ctx context.Context, now time.Time) error {
	over, gates := false, o.settings.Load().Gates
	var events []watch.Event
	for domain := range o.storms.under() {
		st, e := o.storms.look(gates, domain, o.Engine.Census(domain, now), now)
		over = over || !st.ended.IsZero()
		if e != nil {
			events = append(events, *e)
		}
	}
	if err := o.record(ctx, events); err != nil {
		return err
	}
	if over {
		o.Store.Standstill(nil) // before: what is wanted after it is asked about
		if err := o.Store.Rouse(ctx, stormGate, now); err != nil {
			return err
		}
	}
	return o.tellOfStorms(ctx, gates, now)
}

// tellOfStorms tells the operator of storms that hold actions for long: once of
// each, and not of the actions, which may be a million. One of all projects
// speaks for those of single ones while it goes on.
func (o *Outbox) tellOfStorms(ctx context.Context, gates Gates, now time.Time) error {
	going := o.storms.under()
	all, general := going[watch.AllProjects]
	general = general && !all.waived
	for domain, st := range going {
		spokenFor := general && domain != watch.AllProjects
		if gates.HoldFor == 0 || st.told || st.waived || spokenFor || now.Before(st.tell) {
			continue
		}
		project := domain
		if domain == watch.AllProjects {
			project = ""
		}
		held, err := o.Store.Held(ctx, stormGate, project)
		if err == nil && held > 0 {
			err = o.Tell(ctx, stormKey(domain)+"|"+st.from.UTC().Format(time.RFC3339Nano), stormNotice(gates, domain, st, held, now))
		}
		if err != nil {
			return err
		}
		o.storms.asked(domain, held > 0, now.Add(stormRecheck))
	}
	return nil
}

// asked notes that the operator was told of a storm, or when that is next to be
// thought of.
func (s *storms) asked(domain string, told bool, again time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.in[domain]; st != nil {
		st.told, st.tell = told, again
	}
}

// stormNotice is what the operator is told: what is held, since when and why,
// and what can be done.
func stormNotice(g Gates, domain string, st storm, held int, now time.Time) string {
	return fmt.Sprintf("storm in %s: %d actions are held since %s, for %s: %s: look for one fault behind them all; "+
		"where there is none, \"cfn-watch resume --storm %s\" lets them go, as fast as the budgets of [gates] allow",
		domainName(domain), held, st.from.UTC().Format(time.RFC3339), now.Sub(st.from).Round(time.Minute), count(domain, st.census, g), domain)
}

// record writes entries of the history that belong to no row.
func (o *Outbox) record(ctx context.Context, events []watch.Event) error {
	if len(events) == 0 {
		return nil
	}
	_, err := o.Store.Update(ctx, Change{Events: events})
	if err == nil {
		o.written([]Change{{Events: events}})
	}
	return err
}

// stormGate is the one that holds up to a million rows at once. A row that it
// holds says so itself, and has neither an entry in the history nor a step of
// its own: the history has the storm. Nor is the operator told of it, but of
// the storm.
const stormGate = "g3"

// heldByStorm is what is written of a row that was r.
func heldByStorm(r Row, c Change) []Change {
	c.Hold = r.Claim == "" && c.Row.Told == r.Told
	return []Change{c}
}

// metStorm says that a storm holds the row, or did.
func (r *Row) metStorm() bool {
	return r.Gate == stormGate || slices.ContainsFunc(r.Steps, func(s Step) bool { return strings.HasPrefix(s.Text, stormGate+": ") })
}

// noteStorm adds the step of a hold by a storm to a row that goes on.
func (r *Row) noteStorm() {
	if r.Gate == stormGate {
		r.note(Step{At: r.Since, Status: Held, Text: named(r.Gate, r.Why)})
	}
}

// stormKey is what the entries of the history about the storms of a domain have
// as their key.
func stormKey(domain string) string { return "storm|" + domain }

// stormRecheck is when a row that a storm holds is asked about again, if the
// storm is not over before: a million of them may be held.
const stormRecheck = 5 * time.Minute

// domain is how a domain stands; it is counted once for a lookout.
func (l *lookout) domain(name string) storm {
	if st, ok := l.stormy[name]; ok {
		return st
	}
	st, e := l.o.storms.look(l.Gates, name, l.o.Engine.Census(name, l.now), l.now)
	if e != nil {
		l.events = append(l.events, *e)
	}
	l.stormy[name] = st
	return st
}

// heldIn is what g3 says while the storm of a domain goes on.
func (l *lookout) heldIn(domain string, st storm) Reply {
	return Reply{Gate: stormGate, Verdict: Hold, Cause: "storm in " + domainName(domain), Detail: count(domain, st.census, l.Gates), Until: l.now.Add(stormRecheck)}
}

// standstill has what is wanted while a storm of all projects goes on held from
// the first: a million rows are not read one by one to be told the same. Where
// another gate may have more to say, each is asked.
func (l *lookout) standstill() *Standstill {
	st, going := l.o.storms.under()[watch.AllProjects]
	if !going || st.waived || l.DryRun || len(l.suspended) > 0 || l.now.Sub(l.o.Engine.Listening()) < justDeaf {
		return nil
	}
	r := l.heldIn(watch.AllProjects, st)
	return &Standstill{Gate: r.Gate, Why: r.reason(), Next: r.Until}
}

// storm is g3. When a storm is over each guest that is silent still gets the
// whole of its silence once more.
func (l *lookout) storm(c candidate) Reply {
	if c.Trial {
		return Reply{}
	}
	domains := []string{watch.AllProjects, c.Project}
	for _, domain := range domains {
		l.domain(domain) // each, so that an operator is told of both
	}
	for _, domain := range domains {
		st := l.domain(domain)
		switch {
		case st.since.IsZero() || st.waived:
			continue
		case st.ended.IsZero():
			return l.heldIn(domain, st)
		case c.ofSilence():
			if until := st.ended.Add(c.view.Silence()); l.now.Before(until) {
				return Reply{Gate: stormGate, Verdict: Hold, Until: until,
					Cause: fmt.Sprintf("storm in %s is over, and who is silent is given %s", domainName(domain), c.view.Silence())}
			}
		}
	}
	return Reply{}
}
