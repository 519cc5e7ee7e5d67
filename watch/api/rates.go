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
	mu       sync.Mutex
	limits   limits
	keys     map[string]*rate.Limiter
	projects map[string]*rate.Limiter
	swept    time.Time
}

// limits are so many a second, and so many at once.
type limits struct {
	perKey, perProject     rate.Limit
	keyBurst, projectBurst int
}

// changeLimits are those of what writes the history, whose rate CloudWatch
// bounds at a few a second too: of the calls of a key, and of the alarms that
// those of a project are about. All alarms that a project may have can be
// defined in one go.
var changeLimits = limits{perKey: 10, keyBurst: 100, perProject: 3, projectBurst: 10_000}

// requests are the limits of all requests.
func (o Options) requests() limits {
	l := limits{perKey: rate.Limit(o.RatePerKey), keyBurst: o.BurstPerKey, perProject: rate.Limit(o.RatePerProject)}
	if l.perKey == 0 {
		l.perKey = 200
	}
	if l.keyBurst == 0 {
		l.keyBurst = 1000
	}
	if l.perProject == 0 {
		l.perProject = 5000
	}
	l.projectBurst = int(l.perProject)
	return l
}

func newRates(l limits) *rates {
	r := &rates{}
	r.limit(l)
	return r
}

// limit takes over limits. What was counted is forgotten: each has the whole of
// its burst again.
func (r *rates) limit(l limits) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys, r.projects, r.limits = map[string]*rate.Limiter{}, map[string]*rate.Limiter{}, l
}

// take counts one request, which is as n for the project; an error says that it
// is one too many, and when another may come. The operator's are not counted.
func (r *rates) take(c watch.Caller, n int, now time.Time) error {
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
	key := limiter(r.keys, c.Access, r.limits.perKey, r.limits.keyBurst)
	project := limiter(r.projects, c.Project, r.limits.perProject, r.limits.projectBurst)
	wait := reserve(key, 1, now)
	if wait == 0 {
		wait = reserve(project, n, now)
	}
	if wait == 0 {
		return nil
	}
	return &Error{Status: 400, Code: "Throttling", Message: "too many requests of this access key or project", RetryAfter: wait}
}

// reserve takes tokens, or says how long there will be too few.
func reserve(l *rate.Limiter, n int, now time.Time) time.Duration {
	if l.AllowN(now, n) { // most often, and nothing is allocated
		return 0
	}
	res := l.ReserveN(now, n)
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
