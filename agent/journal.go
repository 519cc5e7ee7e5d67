package agent

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cfn-agent/cfn-agent/agent/atomicfile"
	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// A Journal is the record of a run, in a file for its owner alone: what it
// was asked to do, and each step begun and finished. A process that is killed
// loses nothing of it; a machine that loses power loses at most steps that do
// the same when they are done again, since it is made durable before each
// command. The nil Journal records nothing.
type Journal struct {
	file *os.File
	done map[string][]sys.Outcome
}

// A Plan is what a journal says of its run: enough to go on with it.
type Plan struct {
	Document   json.RawMessage `json:"document"` // as it was fetched
	Origin     string          `json:"origin"`
	ConfigSets string          `json:"configsets"`
	Settings   json.RawMessage `json:"settings"` // of the program that runs it
}

// ErrNothingToResume says that there is no journal of an unfinished run.
var ErrNothingToResume = errors.New("there is no unfinished run to resume")

// A line of the file has one of the fields set.
type line struct {
	Plan     *Plan         `json:"plan,omitempty"`
	Begin    string        `json:"begin,omitempty"`
	Path     string        `json:"path,omitempty"` // of a file, with Begin
	Finish   string        `json:"finish,omitempty"`
	Outcomes []sys.Outcome `json:"outcomes,omitempty"`
	End      bool          `json:"end,omitempty"`
}

// NewJournal begins the journal of a new run, in place of that of an earlier
// one.
func NewJournal(path string, plan Plan) (*Journal, error) {
	first, err := json.Marshal(line{Plan: &plan})
	if err != nil {
		return nil, fmt.Errorf("begin the journal: %w", err)
	}
	if err := atomicfile.MkdirPrivate(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("begin the journal: %w", err)
	}
	if old, _, err := ResumeJournal(path); err == nil { // for what it sweeps
		old.file.Close()
	}
	if err := atomicfile.Write(path, append(first, '\n'), atomicfile.KeepOwner(0o600)); err != nil {
		return nil, fmt.Errorf("begin the journal: %w", err)
	}
	j := &Journal{done: map[string][]sys.Outcome{}}
	if j.file, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0); err != nil {
		return nil, fmt.Errorf("begin the journal: %w", err)
	}
	return j, nil
}

// ResumeJournal opens the journal of a run that was cut short. The error is
// ErrNothingToResume when there is none, or its run came to an end.
func ResumeJournal(path string) (*Journal, Plan, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Plan{}, ErrNothingToResume
	}
	if err != nil {
		return nil, Plan{}, err
	}
	if bytes.HasSuffix(data, []byte("\n"+`{"end":true}`+"\n")) {
		return nil, Plan{}, ErrNothingToResume // known without reading all of it
	}
	j := &Journal{done: map[string][]sys.Outcome{}}
	plan, whole, err := j.replay(data)
	if err != nil {
		return nil, Plan{}, fmt.Errorf("resume from %s: %w", path, err)
	}
	if j.file, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0); err != nil {
		return nil, Plan{}, err
	}
	// A line that was cut short says nothing, and must not begin the next one.
	if err := j.file.Truncate(int64(whole)); err != nil {
		return nil, Plan{}, errors.Join(err, j.file.Close())
	}
	return j, plan, nil
}

// replay reads the lines of a journal and returns its plan and the length of
// the whole lines.
func (j *Journal) replay(data []byte) (Plan, int, error) {
	var plan *Plan
	begun := ""
	whole := bytes.LastIndexByte(data, '\n') + 1
	lines := bufio.NewScanner(bytes.NewReader(data[:whole]))
	lines.Buffer(nil, len(data)+1)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return Plan{}, 0, errors.New("the journal is damaged: start afresh without --resume")
		}
		switch {
		case l.Plan != nil:
			plan = l.Plan
		case l.Begin != "":
			begun = l.Path
		case l.Finish != "":
			j.done[l.Finish] = l.Outcomes
		case l.End:
			return Plan{}, 0, ErrNothingToResume
		}
	}
	if plan == nil {
		return Plan{}, 0, ErrNothingToResume
	}
	if begun != "" {
		// What was killed half way may have left a temporary file.
		if err := atomicfile.Sweep(begun); err != nil {
			return Plan{}, 0, err
		}
	}
	return *plan, whole, nil
}

// Close ends the use of the journal; whole says that the run came to its end
// and is not to be resumed.
func (j *Journal) Close(whole bool) error {
	if j == nil {
		return nil
	}
	var err error
	if whole {
		err = j.write(line{End: true}, true)
	}
	return errors.Join(err, j.file.Close())
}

func (j *Journal) finished(id string) ([]sys.Outcome, bool) {
	if j == nil {
		return nil, false
	}
	outcomes, ok := j.done[id]
	return outcomes, ok
}

func (j *Journal) begin(s step) error {
	if j == nil {
		return nil
	}
	return j.write(line{Begin: s.id, Path: s.file}, s.section == sectionCommands)
}

func (j *Journal) finish(id string, outcomes []sys.Outcome, sync bool) error {
	if j == nil {
		return nil
	}
	return j.write(line{Finish: id, Outcomes: outcomes}, sync)
}

func (j *Journal) write(l line, sync bool) error {
	b, err := json.Marshal(l)
	if err == nil {
		_, err = j.file.Write(append(b, '\n'))
	}
	if err == nil && sync {
		err = j.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	return nil
}
