package outbox

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/nearest"
)

// prefix begins the names of actions that are ours; others are URLs.
const prefix = "cfnwatch:"

// A Kind is what an action does.
type Kind string

// Kinds of actions. Webhook and Signal are given as URLs, the others as
// cfnwatch:<kind>:<argument>.
const (
	Webhook  Kind = "webhook"
	Signal   Kind = "signal" // a pre-signed URL of heat-api-cfn
	Notify   Kind = "notify"
	Exec     Kind = "exec"
	Restart  Kind = "restart"
	Reboot   Kind = "reboot"
	Replace  Kind = "replace"
	Rebuild  Kind = "rebuild"
	Stack    Kind = "stack"
	Evacuate Kind = "evacuate"
	Drain    Kind = "drain"
	Restore  Kind = "restore"
	Workflow Kind = "workflow"
	Masakari Kind = "masakari"
	Tacker   Kind = "tacker"
)

// A Name is an action as an alarm asks for it.
type Name struct {
	Kind     Kind
	Argument string // of cfnwatch:<kind>:<argument>, or the URL
}

// Rough says that an action touches a machine; others only tell somebody.
func (n Name) Rough() bool {
	return !slices.Contains([]Kind{Webhook, Signal, Notify, Workflow}, n.Kind)
}

// arguments is what each kind takes after its name, and how it is told when
// that is wrong.
var arguments = map[Kind]struct {
	form *regexp.Regexp
	want string
}{
	Notify:   {regexp.MustCompile(`^$`), "nothing"},
	Exec:     {regexp.MustCompile(`^[A-Za-z0-9._-]+$`), "the name of an [exec NAME] section"},
	Restart:  {target, "a server id, stack/<name>/<resource>, or self"},
	Reboot:   {target, "a server id, stack/<name>/<resource>, or self"},
	Replace:  {target, "a server id, stack/<name>/<resource>, or self"},
	Rebuild:  {target, "a server id, stack/<name>/<resource>, or self"},
	Stack:    {target, "a server id, stack/<name>/<resource>, or self"},
	Evacuate: {word, "a host"},
	Drain:    {pair, "<pool>/<member>"},
	Restore:  {pair, "<pool>/<member>"},
	Workflow: {word, "the id or name of a workflow"},
	Masakari: {word, "a server or a host"},
	Tacker:   {pair, "<vnf>/<vnfc>"},
}

var (
	word   = regexp.MustCompile(`^[^\s/]+$`)
	pair   = regexp.MustCompile(`^[^\s/]+/[^\s/]+$`)
	target = regexp.MustCompile(`^(self|[0-9A-Fa-f-]{32,36}|stack/[^\s/]+/[^\s/]+)$`)
)

// ParseName reads an action. The error says what is wrong with it, and never
// holds the query of a URL, which may be a secret.
func ParseName(action string) (Name, error) {
	rest, ours := strings.CutPrefix(action, prefix)
	if !ours {
		return parseURL(action)
	}
	kind, argument, _ := strings.Cut(rest, ":")
	takes, known := arguments[Kind(kind)]
	if !known {
		return Name{}, unknownKind(kind)
	}
	if !takes.form.MatchString(argument) {
		return Name{}, fmt.Errorf("action %s: %q takes %s", action, prefix+kind, takes.want)
	}
	return Name{Kind(kind), argument}, nil
}

func unknownKind(kind string) error {
	known := make([]string, 0, len(arguments))
	for k := range arguments {
		known = append(known, string(k))
	}
	slices.Sort(known)
	if near := nearest.Word(kind, known, 2); near != "" {
		return fmt.Errorf("action %s%s is unknown: %s%s?", prefix, kind, prefix, near)
	}
	return fmt.Errorf("action %s%s is unknown: there are %s", prefix, kind, strings.Join(known, ", "))
}

func parseURL(action string) (Name, error) {
	u, err := url.Parse(action)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return Name{}, fmt.Errorf("action %s is neither an http(s) URL nor begins with %s", Shown(action), prefix)
	}
	if u.Host == "" || u.Hostname() == "" {
		return Name{}, fmt.Errorf("action %s: the URL names no host", Shown(action))
	}
	if isSignal(u) {
		return Name{Signal, action}, nil
	}
	return Name{Webhook, action}, nil
}

// isSignal recognises what heat/engine/resources/signal_responder.py signs:
// the path of a resource below /waitcondition/ or /signal/, and a signature.
func isSignal(u *url.URL) bool {
	path := u.EscapedPath()
	if !strings.Contains(path, "/waitcondition/arn%3A") && !strings.Contains(path, "/signal/arn%3A") &&
		!strings.Contains(path, "/waitcondition/arn:") && !strings.Contains(path, "/signal/arn:") {
		return false
	}
	q := u.Query()
	return q.Has("Signature") && q.Has("AWSAccessKeyId")
}

// isPolicy says that a signal URL is of what acts on each signal, as scaling
// policies do; a wait condition only counts them.
func isPolicy(signal string) bool {
	u, err := url.Parse(signal)
	return err == nil && !strings.Contains(u.EscapedPath(), "/waitcondition/")
}

// Shown is an action as logs, errors and the history may have it: of a URL the
// scheme and host, for its user, path and query may each be a secret, and of
// a signal the resource.
func Shown(action string) string {
	if strings.HasPrefix(action, prefix) {
		return action
	}
	u, err := url.Parse(action)
	if err != nil {
		return "that is no URL"
	}
	shown := u.Scheme + "://" + u.Host
	if i := strings.LastIndex(u.Path, "/resources/"); i >= 0 && isSignal(u) {
		return shown + "/..." + u.Path[i:]
	}
	if u.Path == "" && u.RawQuery == "" && u.User == nil {
		return shown
	}
	return shown + "/..."
}
