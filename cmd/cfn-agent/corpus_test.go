package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cfn-agent/cfn-agent/agent"
	"github.com/cfn-agent/cfn-agent/agent/packages"
)

const corpusDir = "../../metadata/testdata/corpus"

// A guest is a machine in a directory, with tools that stand in for those of
// its distribution.
type guest struct {
	t           *testing.T
	e           *env
	root, tools string
}

func newGuest(t *testing.T) *guest {
	t.Helper()
	g := &guest{t: t, root: t.TempDir(), tools: t.TempDir()}
	stubs, err := filepath.Abs("testdata/tools")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"etc", "run", "var/log"} {
		if err := os.MkdirAll(filepath.Join(g.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Its root is whoever runs the test, so that files can be root's.
	accounts := map[string]string{
		"etc/passwd": fmt.Sprintf("root:x:%d:%d:root:/root:/bin/sh\n", os.Getuid(), os.Getgid()),
		"etc/group":  fmt.Sprintf("root:x:%d:\n", os.Getgid()),
	}
	for file, text := range accounts {
		if err := os.WriteFile(filepath.Join(g.root, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	g.e = &env{
		root:   g.root,
		client: &http.Client{Transport: archives{}},
		environ: []string{
			"PATH=" + stubs + ":/usr/bin:/bin", "TOOLS_STATE=" + g.tools, "HOME=/root", packages.InRoot + "=1",
		},
	}
	return g
}

// archives answers every request with a zip file.
type archives struct{}

func (archives) RoundTrip(r *http.Request) (*http.Response, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("README")
	if err == nil {
		_, err = io.WriteString(w, "sample\n")
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Etag": {`"1"`}}, Request: r,
		Body: io.NopCloser(&b), ContentLength: int64(b.Len()),
	}, err
}

// run runs the program and returns its status and all it printed.
func (g *guest) run(name string, args ...string) (status int, output string) {
	g.t.Helper()
	out, err := os.Create(filepath.Join(g.t.TempDir(), "output"))
	if err != nil {
		g.t.Fatal(err)
	}
	defer out.Close()
	g.e.stdin, g.e.stdout, g.e.stderr = nil, out, out
	status = run(g.e, name, args)
	data, err := os.ReadFile(out.Name())
	if err != nil {
		g.t.Fatal(err)
	}
	return status, string(data)
}

func (g *guest) report() agent.Report {
	g.t.Helper()
	data, err := os.ReadFile(filepath.Join(g.root, lastReport))
	if err != nil {
		g.t.Fatal(err)
	}
	var r agent.Report
	if err := json.Unmarshal(data, &r); err != nil {
		g.t.Fatal(err)
	}
	return r
}

func corpusDocuments(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(corpusDir + "/*.json")
	if err != nil || len(paths) != 35 {
		t.Fatalf("%d documents, %v, want 35", len(paths), err)
	}
	return paths
}

// Every document of Heat's own templates is planned, which changes nothing,
// applied, and applied again with no change.
func TestCorpusIsPlannedAppliedAndAppliedAgain(t *testing.T) {
	for _, path := range corpusDocuments(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
			g := newGuest(t)
			before := tree(t, g.root)
			if status, out := g.run("cfn-init", "--dry-run", path); status != 0 || !strings.Contains(out, "would change") {
				t.Fatalf("plan: status %d: %s", status, out)
			}
			if after := tree(t, g.root); after != before {
				t.Errorf("the plan changed something:\n%s", after)
			}
			if status, out := g.run("cfn-init", "--strict", path); status != 0 {
				t.Fatalf("apply: status %d: %s", status, out)
			}
			if r := g.report(); r.Changed == 0 || r.Changed != len(r.Items) {
				t.Errorf("apply: %d of %d items changed, want all", r.Changed, len(r.Items))
			}
			if status, out := g.run("cfn-init", "--strict", path); status != 0 {
				t.Fatalf("apply again: status %d: %s", status, out)
			}
			if r := g.report(); r.Changed != 0 || r.Outcome != agent.Success {
				t.Errorf("apply again: %d items changed, outcome %s, want none", r.Changed, r.Outcome)
			}
			checkPrivate(t, g.root)
		})
	}
}

// tree lists a directory: names, modes and sizes.
func tree(t *testing.T, root string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			b.WriteString(info.Mode().String() + " " + path + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// checkPrivate says that nothing that the program keeps for itself can be
// read by others: what the metadata ask for lies elsewhere.
func checkPrivate(t *testing.T, root string) {
	t.Helper()
	for _, dir := range []string{"var/lib/cfn-init", "var/cache/heat-cfntools", "var/log", "run"} {
		_ = filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil
			}
			if info, err := d.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
			return nil
		})
	}
}

var secretOfCorpus = regexp.MustCompile(`AWSSecretKey=([0-9a-f]{32})`)

// No secret of the documents is in what the program prints, in a log, in the
// report, in the arguments of a tool, or in a file that others can read.
func TestNoSecretOfCorpusGetsOut(t *testing.T) {
	found := 0
	for _, path := range corpusDocuments(t) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range secretOfCorpus.FindAllStringSubmatch(string(data), -1) {
			found++
			secret := m[1]
			t.Run(filepath.Base(path), func(t *testing.T) {
				g := newGuest(t)
				// A command that prints the secret is added: its output is logged.
				leaky := addCommand(t, data, "echo "+secret+"; echo "+secret+" >&2; exit 3")
				_, planned := g.run("cfn-init", "--dry-run", "-v", leaky)
				_, applied := g.run("cfn-init", "-v", "--report", filepath.Join(g.root, "report"), leaky)
				_, again := g.run("cfn-init", "-v", leaky)
				for what, text := range map[string]string{"plan": planned, "run": applied, "second run": again} {
					if strings.Contains(text, secret) {
						t.Errorf("the %s prints the secret:\n%s", what, text)
					}
				}
				if !strings.Contains(applied, "exit status 3") {
					t.Errorf("the command did not run: %s", applied)
				}
				checkSecretKept(t, g.root, secret)
			})
		}
	}
	if found < 7 {
		t.Errorf("%d secrets in the corpus, want at least 7", found)
	}
}

func addCommand(t *testing.T, document []byte, line string) string {
	t.Helper()
	var d map[string]map[string]map[string]any
	if err := json.Unmarshal(document, &d); err != nil {
		t.Fatal(err)
	}
	d["AWS::CloudFormation::Init"]["config"]["commands"] = map[string]any{"leak": map[string]any{"command": line}}
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "document.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkSecretKept says that only private files hold the secret, and of the
// logs and reports none.
func checkSecretKept(t *testing.T, root, secret string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(data, []byte(secret)) {
			return err
		}
		info, err := d.Info()
		name := strings.TrimPrefix(path, root)
		if info.Mode().Perm()&0o077 != 0 || strings.HasPrefix(name, "/var/log") || strings.Contains(name, "report") {
			t.Errorf("%s (%v) holds the secret", name, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
