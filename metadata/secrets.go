package metadata

import (
	"encoding/json"
	"regexp"
	"sync"
)

var (
	// Compiled when they are first used: most runs of most tools never do.
	secretName = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)pass|secret|token|key|credential`)
	})
	inlineValue = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?m)AWSSecretKey\s*=\s*['"]?([^\s'"]+)`)
	})
	// Of the Authentication section, what says where it applies is no secret.
	openAuth = map[string]bool{"type": true, "uris": true, "buckets": true, "endpoint": true}
)

// Secrets returns the values that must not be shown: every string below a key
// whose name speaks of a password, secret, token, key or credential, the
// secret key of a credentials file in any text, and the Authentication
// section. Short ones are among them; see sys.NewMask.
func (d Document) Secrets() []string {
	var root map[string]any
	if json.Unmarshal(d.raw, &root) != nil {
		return nil
	}
	var found []string
	for key, value := range root {
		if key != AuthenticationKey {
			found = collect(found, key, value)
			continue
		}
		entries, _ := value.(map[string]any)
		for _, e := range entries {
			fields, _ := e.(map[string]any)
			for name, v := range fields {
				if s, ok := v.(string); ok && !openAuth[name] {
					found = append(found, s)
				}
			}
		}
	}
	return found
}

func collect(found []string, key string, value any) []string {
	switch v := value.(type) {
	case string:
		if secretName().MatchString(key) {
			found = append(found, v)
		}
		for _, m := range inlineValue().FindAllStringSubmatch(v, -1) {
			found = append(found, m[1])
		}
	case []any:
		for _, e := range v {
			found = collect(found, key, e)
		}
	case map[string]any:
		for k, e := range v {
			found = collect(found, k, e)
		}
	}
	return found
}
