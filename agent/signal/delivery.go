package signal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/pattern"
	"github.com/cfn-agent/cfn-agent/agent/retry"
	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/metadata/cfnapi"
)

// signatureLife is how long Keystone takes a signature, unless its operator
// set [credential] auth_ttl.
const signatureLife = 15 * time.Minute

// A delivery is one signal on its way, and what is learned over its tries.
type delivery struct {
	*Sender
	method string
	url    *url.URL
	bodies [][]byte             // each next one is for a handle that rejects the one before
	token  awsquery.Secret      // of Heat's own API; empty: none
	keys   awsquery.Credentials // zero: the URL cannot be signed again
	signed bool                 // with keys, anew at each try; else the URL goes as it is

	patience awsquery.Patience
	ahead    time.Duration // of the server's clock
}

// try sends the signal once, and at once again when it has learned how.
func (d *delivery) try(ctx context.Context) error {
	x := awsquery.Exchange{HTTP: d.HTTP, Idle: d.Idle, Limit: 1 << 20}
	var rejected error // of the body before
	for i := 0; ; {
		a, err := x.Do(ctx, d.url, func(ctx context.Context, u *url.URL) (*http.Request, error) {
			return d.build(ctx, u, d.bodies[i])
		})
		d.log().Debug("signal sent", "method", d.method, "host", d.url.Host, "body", i, "status", a.Status, "err", err)
		e, refused := errors.AsType[*awsquery.Error](err)
		switch {
		case err == nil:
			return nil
		case refused && d.IgnoreComplete && benign(e):
			d.log().Info("signal no longer wanted", "err", e)
			return nil
		case rejects(err) && i > 0:
			return d.judge(rejected)
		case rejects(err) && i+1 < len(d.bodies):
			rejected = err
			i++
			continue
		case !refused:
			return d.judge(err)
		}
		again, err := d.renew(e, a.Header)
		if err != nil {
			return err
		}
		if !again {
			return d.judge(e)
		}
	}
}

// rejects says that a handle may have refused the body. Heat answers 500 then,
// but Heat 19 only after a minute: its engine cannot put the failure into
// words, and the API waits out rpc_response_timeout. Our patience, or that of
// a proxy, ends before.
func rejects(err error) bool {
	if e, ok := errors.AsType[*awsquery.Error](err); ok {
		switch e.Status {
		case http.StatusBadRequest, http.StatusInternalServerError, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return false
	}
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

// tooLate is what AWS and Heat say to a signal for a resource that is past it.
var tooLate = pattern.Lazy{Expr: `is in \w+_COMPLETE state and cannot be signal|^(.*:)?Signal resource during \w+ is not supported`}

func benign(e *awsquery.Error) bool {
	return e.Status == http.StatusBadRequest && tooLate.Regexp().MatchString(e.Message)
}

// judge marks an error that may pass.
func (d *delivery) judge(err error) error {
	worth := d.patience.Worth(err, time.Now())
	var after time.Duration
	if e, ok := errors.AsType[*awsquery.Error](err); ok {
		after = e.RetryAfter
		if e.Code == "InternalFailure" {
			err = fmt.Errorf("%w (Heat says so too when the handle does not take what was sent)", err)
		}
		if hint := d.hint(e); hint != "" {
			err = fmt.Errorf("%w (%s)", err, hint)
		}
	}
	if !worth {
		return err
	}
	return retry.After(err, after)
}

// hint says what a refusal of a URL that goes as it was given most often comes
// from: a shell that it was not quoted for.
func (d *delivery) hint(e *awsquery.Error) string {
	switch {
	case d.signed || d.token != "":
	case e.Status == http.StatusBadRequest && e.Code == "IncompleteSignature":
		return "the URL is cut: quote it, & ends a command in a shell"
	case e.Status == http.StatusForbidden:
		return "is the URL whole and unchanged? quote it in the shell"
	}
	return ""
}

// build makes the request. A PUT has no Content-Type, which a pre-signed URL
// of AWS demands. A POST has one: WebOb would else take the body for a form,
// and its content for signed parameters.
func (d *delivery) build(ctx context.Context, u *url.URL, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, d.method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the signal URL cannot be sent") // the cause quotes it
	}
	if d.method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	if d.token != "" {
		req.Header.Set("X-Auth-Token", string(d.token))
	}
	if d.signed {
		awsquery.SignV2(req, d.keys, time.Now().Add(d.ahead))
	}
	return req, nil
}

// renew deals with a refusal that a fresh signature may cure: it signs with
// the server's time, or signs with the guest's keys a URL whose own signature
// can no longer work. Where there are no keys the error tells why they are
// needed.
func (d *delivery) renew(e *awsquery.Error, h http.Header) (again bool, err error) {
	if e.Status != http.StatusUnauthorized && e.Status != http.StatusForbidden {
		return false, nil
	}
	ahead, skewed := cfnapi.Skew(h, time.Now())
	if !skewed {
		ahead = 0
	}
	if d.signed {
		if !skewed || d.ahead != 0 {
			return false, nil
		}
		d.ahead = ahead
		d.log().Warn("clock differs from the server's, signing with the server's time", "ahead", ahead.Round(time.Second))
		return true, nil
	}
	why := d.useless(time.Now().Add(ahead))
	if why == "" {
		return false, nil
	}
	if d.keys == (awsquery.Credentials{}) {
		return false, fmt.Errorf("%w: %s; give the guest's credentials to sign it again", e, why)
	}
	d.signed, d.ahead = true, ahead
	d.log().Warn("signal URL refused, signing it again with the guest's credentials", "why", why)
	return true, nil
}

// useless tells why the signature that the URL came with cannot be accepted
// at now, if that can be seen.
func (d *delivery) useless(now time.Time) string {
	made, err := time.Parse(time.RFC3339, d.url.Query().Get("Timestamp"))
	if age := now.Sub(made).Round(time.Second); err == nil && age > signatureLife {
		return fmt.Sprintf("the URL was signed %v ago, at %s, and Keystone refuses signatures older than 15 minutes"+
			" unless its operator raised [credential] auth_ttl", age, made.Format(time.RFC3339))
	}
	// Heat encodes such a name twice and signs it encoded once; what Keystone
	// is given to compare is encoded twice.
	if strings.Contains(d.url.EscapedPath(), "%25") && d.url.Query().Has("Signature") {
		return "Heat signs the URL of a name with special characters so that it does not accept it"
	}
	return ""
}
