package hup

import (
	"os"
	"sync"
)

// A Memory has what could not be written to the file, as on a full disk, for
// the next pass of the same process. Without it an action that has succeeded
// runs again at each pass, and a service is started without a limit. The zero
// value is of use, and nil remembers nothing.
type Memory struct {
	mu   sync.Mutex // guards what follows
	data []byte     // what was to be in the file
	err  error      // why it is not; nil: it is
}

// Err is why the last pass could not write what it has seen; nil: it could.
func (m *Memory) Err() error {
	_, err := m.unsaved()
	return err
}

func (m *Memory) unsaved() ([]byte, error) {
	if m == nil {
		return nil, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.data, m.err
}

func (m *Memory) note(data []byte, err error) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.data, m.err = nil, err; err != nil {
		m.data = data
	}
}

// load reads the state from the file, or where it could not be written from
// what was remembered. Where there is none it is empty, and beside an error too.
func (m *Memory) load(path string) (*state, error) {
	data, unsaved := m.unsaved()
	var err error
	if unsaved == nil {
		data, err = os.ReadFile(path)
	}
	s, err := parseState(path, data, err)
	s.memory, s.changed = m, unsaved != nil
	return s, err
}
