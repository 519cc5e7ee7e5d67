package metadata

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/nearest"
)

// A noInit is ErrNoInit with a text of its own.
type noInit struct{ text string }

func (e *noInit) Error() string { return e.text }

// Is makes every noInit an ErrNoInit.
func (e *noInit) Is(target error) bool { return target == ErrNoInit }

// noInit says what a document without an AWS::CloudFormation::Init section is
// most likely meant to be.
func (d Document) noInit() error {
	var top map[string]json.RawMessage
	if json.Unmarshal(d.raw, &top) != nil {
		return ErrNoInit
	}
	keys := make([]string, 0, len(top))
	for key := range top {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		if nearest.Distance(strings.ToLower(key), strings.ToLower(InitKey)) <= 3 {
			return &noInit{fmt.Sprintf("the metadata has no %s section, but %q: did you mean %s?", InitKey, key, InitKey)}
		}
	}
	for _, key := range []string{"Resources", "resources"} {
		if _, ok := top[key]; ok {
			return &noInit{"this is a template: give the Metadata of one of its resources"}
		}
	}
	for _, key := range keys {
		if key == defaultConfig || key == setsKey {
			return &noInit{fmt.Sprintf("the metadata has no %s section: %s is to stand under it", InitKey, key)}
		}
		if slices.Contains(sections, key) {
			return &noInit{fmt.Sprintf("the metadata has no %s section: %s is to stand in a config under it", InitKey, key)}
		}
	}
	return ErrNoInit
}
