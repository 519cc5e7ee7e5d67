package awsquery

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"time"
)

// ErrBadAnswer marks a success whose body is not what was asked for, as when
// a proxy answers for a server that is not there yet.
var ErrBadAnswer = errors.New("bad answer")

// final is an error that does not pass by asking again: an answer over the
// size limit, a redirect that is not followed.
type final struct{ error }

// Patience judges over the tries of one call whether a failure may pass. The
// zero value is ready; it is used up by one call.
//
// Connection errors, timeouts, 408, 425, 429, 502, 503, 504 may pass. 401, 403
// and 404 may in the first minute, while a new stack user or resource is not
// yet visible everywhere. 500 and a bad answer may twice, because Heat calls a
// signal that it does not like an internal failure. The rest is final.
type Patience struct {
	start  time.Time
	broken int
}

const (
	visibleAfter = time.Minute
	brokenLimit  = 3
)

// Worth says whether another try after err, at now, makes sense. The first
// call is taken as the begin of the minute unless Start was called.
func (p *Patience) Worth(err error, now time.Time) bool {
	p.Start(now)
	if e, ok := errors.AsType[*Error](err); ok {
		switch e.Status {
		case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
			return true
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
			return now.Sub(p.start) < visibleAfter
		case http.StatusInternalServerError:
			return p.oneMore()
		}
		return e.Status > http.StatusInternalServerError
	}
	if errors.Is(err, ErrBadAnswer) {
		return p.oneMore()
	}
	if _, ok := errors.AsType[final](err); ok {
		return false
	}
	return !errors.Is(err, http.ErrSchemeMismatch) && !untrusted(err)
}

// Start sets the begin of the first minute, once.
func (p *Patience) Start(now time.Time) {
	if p.start.IsZero() {
		p.start = now
	}
}

func (p *Patience) oneMore() bool {
	p.broken++
	return p.broken < brokenLimit
}

// untrusted tells a certificate that stays wrong from one that is only not
// valid yet by the clock of a guest that has just booted.
func untrusted(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		return false
	}
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	return !ok || invalid.Reason != x509.Expired
}
