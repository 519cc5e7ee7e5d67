package api

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/cfn-agent/cfn-agent/watch"
)

// sweepEvery is how often limiters that are full again are forgotten.
const sweepEvery = 10 * time.Second

// rates bounds the requests of each access key and of each project.
type rates struct {
	mu                 sync.Mutex
	perKey, perProject rate.Limit
	burst              int
	keys               map[string]*rate.Limiter
	projects           map[string]*rate.Limiter
	swept              time.Time
}

func newRates(o Options) *rates {
	r := &rates{}
	r.limit(o)
	return r
}

// limit takes over the rates of o. What was counted is forgotten: each has the
// whole of its burst again.
func (r *rates) limit(o Options) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys, r.projects = map[string]*rate.Limiter{}, map[string]*rate.Limiter{}
	r.perKey, r.perProject, r.burst = rate.Limit(o.RatePerKey), rate.Limit(o.RatePerProject), o.BurstPerKey
	if r.perKey == 0 {
		r.perKey = 200
	}
	if r.burst == 0 {
		r.burst = 1000
	}
	if r.perProject == 0 {
		r.perProject = 5000
	}
}

// take counts one request; an error says that it is one too many, and when
// another may come. The operator's are not counted.
func (r *rates) take(c watch.Caller, now time.Time) error {
	if c.Role == watch.Operator {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.swept) > sweepEvery {
		r.swept = now
		sweep(r.keys, now)
		sweep(r.projects, now)
	}
	key := limiter(r.keys, c.Access, r.perKey, r.burst)
	project := limiter(r.projects, c.Project, r.perProject, int(r.perProject))
	wait := reserve(key, now)
	if wait == 0 {
		wait = reserve(project, now)
	}
	if wait == 0 {
		return nil
	}
	return &Error{Status: 400, Code: "Throttling", Message: "too many requests of this access key or project", RetryAfter: wait}
}

// reserve takes a token, or says how long there will be none.
func reserve(l *rate.Limiter, now time.Time) time.Duration {
	if l.AllowN(now, 1) { // most often, and nothing is allocated
		return 0
	}
	res := l.ReserveN(now, 1)
	wait := res.DelayFrom(now)
	if wait > 0 {
		res.CancelAt(now)
	}
	return wait
}

func limiter(m map[string]*rate.Limiter, id string, limit rate.Limit, burst int) *rate.Limiter {
	l, ok := m[id]
	if !ok {
		l = rate.NewLimiter(limit, burst)
		m[id] = l
	}
	return l
}

func sweep(m map[string]*rate.Limiter, now time.Time) {
	for id, l := range m {
		if l.TokensAt(now) >= float64(l.Burst()) {
			delete(m, id)
		}
	}
}
