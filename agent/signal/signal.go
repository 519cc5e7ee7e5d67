// Package signal tells Heat that a guest is done, or failed: by a wait
// condition's pre-signed URL, by a resource's name, or by the "signal"
// attribute of a handle. It follows heat-api-cfn and Heat's wait condition
// handles, and the pre-signed URLs that AWS gives out for the same. What was
// not accepted is an error. It does not choose the identity of the guest
// unless asked (DefaultID), and prints nothing.
package signal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/retry"
	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/metadata/cfnapi"
)

// The two values of a Signal's Status.
const (
	Success = "SUCCESS"
	Failure = "FAILURE"
)

// A Signal is what a handle stores. Heat counts the different UniqueIDs; an
// equal one replaces what came before.
type Signal struct {
	Status   string
	Reason   string
	UniqueID string
	Data     string
}

// Default returns the signal that heat-cfntools sends with a status, but for
// the reason of a failure, which it called complete too.
func Default(status string) Signal {
	s := Signal{Status: status, Reason: "Configuration Complete", Data: "Application has completed configuration."}
	if status == Failure {
		s.Reason = "Configuration failed."
	}
	return s
}

// A Request is a signal and one way to who waits for it.
type Request struct {
	Signal   Signal
	URL      string         // pre-signed, as the template gave it
	Handle   string         // JSON of the signal attribute of an OS::Heat::WaitConditionHandle
	Resource *cfnapi.Client // a resource of a stack, with the credentials to signal it
}

// A Sender sends signals. HTTP must be set.
type Sender struct {
	HTTP           *http.Client
	Credentials    awsquery.Credentials // to sign an expired URL again; zero: none
	Retry          retry.Policy         // zero: one try
	Idle           time.Duration        // longest silence inside an answer; 0: 60 s
	IgnoreComplete bool                 // what can no longer be signalled counts as signalled
	Log            *slog.Logger         // nil: none
}

// BodyLimit is how many bytes Heat takes at most of a signal, by its option
// max_json_body_size.
const BodyLimit = 1 << 20

// Send delivers a signal and returns nil once it was accepted. A refusal is
// an *awsquery.Error inside the returned error, which never holds a signature
// or token.
func (s *Sender) Send(ctx context.Context, r Request) error {
	d, err := s.plan(ctx, r)
	if err != nil {
		return err
	}
	for _, body := range d.bodies {
		if len(body) > BodyLimit {
			return fmt.Errorf("the signal has %d bytes, Heat takes at most %d: send less data", len(body), BodyLimit)
		}
	}
	d.patience.Start(time.Now())
	if err := s.Retry.Do(ctx, d.try); err != nil {
		return fmt.Errorf("signal %s: %w", awsquery.RedactURL(d.url), err)
	}
	return nil
}

// plan finds out what to send and where.
func (s *Sender) plan(ctx context.Context, r Request) (*delivery, error) {
	given := 0
	for _, yes := range []bool{r.URL != "", r.Handle != "", r.Resource != nil} {
		if yes {
			given++
		}
	}
	if given > 1 {
		return nil, errors.New("a signal goes to a URL, a handle or a resource: give one")
	}
	switch {
	case r.Resource != nil:
		return s.toResource(ctx, r.Resource, r.Signal)
	case r.Handle != "":
		return s.toHandle(r.Handle, r.Signal)
	}
	u, err := parseURL(r.URL)
	if err != nil {
		return nil, err
	}
	return s.toURL(u, r.Signal), nil
}

// upper is what wait condition handles of AWS make take: these four keys, all
// of them, and no other.
func (s Signal) upper() []byte {
	return encode(struct{ Status, Reason, UniqueId, Data string }{s.Status, s.Reason, s.UniqueID, s.Data})
}

// lower is what OS::Heat::WaitConditionHandle takes: no key but these four.
func (s Signal) lower() []byte { return encode(s.words()) }

// details is for what is signalled by POST. A software deployment looks for
// deploy_status_code, and takes its absence for success; a scaling policy
// looks at nothing.
func (s Signal) details() []byte {
	d := s.words()
	d["deploy_status_code"], d["deploy_stdout"], d["deploy_stderr"] = 0, s.Data, ""
	if s.Status != Success {
		d["deploy_status_code"], d["deploy_stderr"] = 1, s.Reason
	}
	return encode(d)
}

func (s Signal) words() map[string]any {
	return map[string]any{"status": s.Status, "reason": s.Reason, "id": s.UniqueID, "data": s.Data}
}

// encode is JSON in its shortest form; strings that are no UTF-8 are mended.
func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // strings and ints always encode
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func (s *Sender) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}
