package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const fileCount = 1000

// What applying files may cost. A first run is bounded by the writes and
// syncs that must be. A second one reads: the document, and each file. What it
// adds is to check the document, to look at owner and mode, and to write two
// lines of a journal for each file, which may cost five times the reading; in
// CPU time, since the few syncs of the journal would hide it. That it does not
// sync each file shows in time.
const (
	firstWrites = 2.0
	secondReads = 6.0
	secondFirst = 0.25
)

// compareFiles measures cfn-init with a document of many small files, against
// a program that only writes or reads them, each in roots of its own.
func (s setting) compareFiles() ([]row, error) {
	document := filepath.Join(s.scratch, "document.json")
	if err := os.WriteFile(document, manyFiles(), 0o600); err != nil {
		return nil, err
	}
	var first, second, written, read []usage
	for i := range s.fsRuns {
		root := filepath.Join(s.scratch, fmt.Sprint("ours", i))
		if err := makeRoot(root); err != nil {
			return nil, err
		}
		bare := filepath.Join(s.scratch, fmt.Sprint("bare", i))
		init := program{[]string{filepath.Join(s.tools, "cfn-init"), document}, []string{"CFN_ROOT=" + root}}
		files := func(mode string) program {
			return program{args: []string{filepath.Join(s.bare, "barefiles"), mode, document, bare}}
		}
		for _, c := range []struct {
			program
			all *[]usage
		}{{init, &first}, {files("write"), &written}, {init, &second}, {files("read"), &read}} {
			// What was written before must not be waited for by the next one.
			syscall.Sync()
			_, u, err := c.run()
			if err != nil {
				return nil, err
			}
			*c.all = append(*c.all, u)
		}
		// It did what it was to do.
		if _, _, err := (program{args: []string{filepath.Join(s.bare, "barefiles"), "read", document, root}}).run(); err != nil {
			return nil, err
		}
	}
	what := fmt.Sprintf("init of %d files", fileCount)
	one, two, w, r := median(first), median(second), median(written), median(read)
	return []row{
		{what + ", time, bare writes and syncs", one.elapsed(), w.elapsed(), firstWrites, "ms"},
		{what + " again, time, the first run", two.elapsed(), one.elapsed(), secondFirst, "ms"},
		{what + " again, CPU, bare reads", two.milliseconds(), r.milliseconds(), secondReads, "ms"},
	}, nil
}

// makeRoot makes what cfn-init expects of a system.
func makeRoot(root string) error {
	for _, dir := range []string{"etc", "run", "var/log", "var/lib"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{"passwd": "root:x:0:0:root:/root:/bin/sh\n", "group": "root:x:0:\n"} {
		if err := os.WriteFile(filepath.Join(root, "etc", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// manyFiles is a document as templates have it, only longer.
func manyFiles() []byte {
	type file struct {
		Content string `json:"content"`
		Mode    string `json:"mode"`
		Owner   string `json:"owner"`
		Group   string `json:"group"`
	}
	files := map[string]file{}
	for i := range fileCount {
		text := fmt.Sprintf("# Settings of part %d\n", i) + strings.Repeat("listen = 127.0.0.1:8080\n", 20)
		files[fmt.Sprintf("/srv/bench/%02d/part-%d.conf", i%10, i)] = file{text, "000644", "root", "root"}
	}
	document, err := json.Marshal(map[string]any{"AWS::CloudFormation::Init": map[string]any{"config": map[string]any{"files": files}}})
	if err != nil {
		panic(err) // of strings alone
	}
	return document
}
