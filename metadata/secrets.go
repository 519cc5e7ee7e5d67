package metadata

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/cfn-agent/cfn-agent/agent/pattern"
)

var (
	// Compiled when they are first used: most runs of most tools never do.
	secretName  = pattern.Lazy{Expr: `(?i)pass|secret|token|key|credential`}
	inlineValue = pattern.Lazy{Expr: `(?m)AWSSecretKey\s*=\s*['"]?([^\s'"]+)`}
	// Of the Authentication section, what says where it applies is no secret.
	openAuth = []string{"type", "uris", "buckets", "endpoint"}
)

// Secrets returns the values that must not be shown: every string and number
// below a key whose name speaks of a password, secret, token, key or
// credential, the secret key of a credentials file in any text, and the
// Authentication section. The names of configs and items are no such keys:
// packages and files have them from what they are of. Short ones are among them; see sys.NewMask.
func (d Document) Secrets() []string {
	dec := json.NewDecoder(bytes.NewReader(d.raw))
	dec.UseNumber() // a number may be a password, and is shown as it is written
	var root map[string]any
	if dec.Decode(&root) != nil {
		return nil
	}
	var found []string
	for key, value := range root {
		switch key {
		case InitKey:
			found = collectInit(found, value)
			continue
		case AuthenticationKey:
		default:
			found = collect(found, value, secretName.Regexp().MatchString(key))
			continue
		}
		entries, _ := value.(map[string]any)
		for _, e := range entries {
			fields, _ := e.(map[string]any)
			for name, v := range fields {
				if s, ok := v.(string); ok && !slices.Contains(openAuth, name) {
					found = append(found, s)
				}
			}
		}
	}
	return found
}

// initNames is how deep the names of configs, sections and items stand: they
// are none of values, though a package may be called keystone.
const initNames = 3

func collectInit(found []string, value any) []string {
	level := []any{value}
	for range initNames {
		var next []any
		for _, v := range level {
			m, ok := v.(map[string]any)
			if !ok {
				found = collect(found, v, false)
			}
			for _, e := range m {
				next = append(next, e)
			}
		}
		level = next
	}
	for _, v := range level {
		found = collectEntry(found, v)
	}
	return found
}

// collectEntry collects from what stands below the name of an item, or of a
// manager with more names in it.
func collectEntry(found []string, value any) []string {
	m, ok := value.(map[string]any)
	if !ok {
		return collect(found, value, false)
	}
	for _, e := range m {
		found = collect(found, e, false)
	}
	return found
}

// collect adds the secrets of a value; secret says that it stands below a name
// that speaks of one.
func collect(found []string, value any, secret bool) []string {
	switch v := value.(type) {
	case string:
		if secret {
			found = append(found, v)
		}
		for _, m := range inlineValue.Regexp().FindAllStringSubmatch(v, -1) {
			found = append(found, m[1])
		}
	case json.Number:
		if secret {
			found = append(found, v.String())
		}
	case []any:
		for _, e := range v {
			found = collect(found, e, secret)
		}
	case map[string]any:
		for k, e := range v {
			found = collect(found, e, secret || secretName.Regexp().MatchString(k))
		}
	}
	return found
}
