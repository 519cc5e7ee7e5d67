package hup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/atomicfile"
	"github.com/cfn-agent/cfn-agent/hooks"
)

// A state is what was seen and done. Its file is an object of the last values
// by HOOK|PATH, as aws-cfn-bootstrap keeps it. What else there is to keep has
// keys that no hook can have, since none is without a name.
type state struct {
	Values   map[string]json.RawMessage // null: there was none
	Hooks    map[string]hookState       // by the same keys
	Services map[string]serviceState    // by RESOURCE|SERVICE

	path    string
	changed bool    // since it was read or saved
	memory  *Memory // may be nil
}

const (
	hooksKey    = "|hooks"
	servicesKey = "|services"
)

// A hookState is how the actions of a hook went.
type hookState struct {
	Ran      time.Time `json:"ran,omitzero"`      // when an action last ended
	Trigger  string    `json:"trigger,omitempty"` // of that action
	Error    string    `json:"error,omitempty"`   // how it failed; empty: it did not
	Failures int       `json:"failures,omitempty"`
	Next     time.Time `json:"next,omitzero"`    // no further try before
	Digest   string    `json:"digest,omitempty"` // of the value that the failures are about
}

// A serviceState is what was done about a service.
type serviceState struct {
	Starts  []time.Time `json:"starts,omitempty"`  // the last ones
	Limited bool        `json:"limited,omitempty"` // started as often as it may be, and not seen to run since
	Pending bool        `json:"pending,omitempty"` // started, and the hooks not yet told
}

// serviceMark parts the resource and the service in a key of Services.
const serviceMark = "|"

// key is where the last value of a hook is.
func key(h hooks.Hook) string { return h.Name + "|" + h.Path }

// parseState reads the state from what was read of its file. Where there is
// none it is empty, and beside an error too.
func parseState(path string, data []byte, err error) (*state, error) {
	empty := &state{
		Values: map[string]json.RawMessage{}, Hooks: map[string]hookState{}, Services: map[string]serviceState{}, path: path,
	}
	if errors.Is(err, fs.ErrNotExist) {
		return empty, nil
	}
	if err != nil {
		return empty, err
	}
	s := *empty
	s.Values = map[string]json.RawMessage{}
	if err := json.Unmarshal(data, &s.Values); err != nil || s.Values == nil {
		return empty, fmt.Errorf("read %s: it is damaged", path)
	}
	for name, to := range map[string]any{hooksKey: &s.Hooks, servicesKey: &s.Services} {
		if raw, ok := s.Values[name]; ok {
			if err := json.Unmarshal(raw, to); err != nil {
				return empty, fmt.Errorf("read %s: %s is damaged", path, name)
			}
			delete(s.Values, name)
		}
	}
	if s.Hooks == nil {
		s.Hooks = map[string]hookState{}
	}
	if s.Services == nil {
		s.Services = map[string]serviceState{}
	}
	return &s, nil
}

func (s *state) set(key string, value json.RawMessage) {
	if value == nil {
		value = json.RawMessage("null")
	}
	s.Values[key], s.changed = value, true
}

func (s *state) setHook(key string, h hookState) { s.Hooks[key], s.changed = h, true }

func (s *state) setService(key string, v serviceState) { s.Services[key], s.changed = v, true }

// keepServices forgets the services of a resource that are not in a list.
func (s *state) keepServices(resource string, list []watched) {
	for id := range s.Services {
		of, name, _ := strings.Cut(id, serviceMark)
		if of == resource && !slices.ContainsFunc(list, func(w watched) bool { return w.name == name }) {
			delete(s.Services, id)
			s.changed = true
		}
	}
}

// save writes the state when it has changed: values are secrets, so that
// file and directory are for their owner alone. It is remembered when that is
// not possible.
func (s *state) save() error {
	if !s.changed {
		return nil
	}
	all := map[string]any{}
	for k, v := range s.Values {
		all[k] = v
	}
	if len(s.Hooks) > 0 {
		all[hooksKey] = s.Hooks
	}
	if len(s.Services) > 0 {
		all[servicesKey] = s.Services
	}
	data, err := json.Marshal(all)
	if err == nil {
		err = atomicfile.MkdirPrivate(filepath.Dir(s.path))
	}
	if err == nil {
		err = atomicfile.Write(s.path, data, atomicfile.KeepOwner(0o600))
	}
	if err != nil {
		err = fmt.Errorf("keep what was seen: %w", err)
	}
	s.changed = err != nil
	s.memory.note(data, err)
	return err
}
