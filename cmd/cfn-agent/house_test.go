package main

import (
	"encoding/json"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/cfn-agent/cfn-agent"

type pkg struct {
	ImportPath, Name, Doc string
	Imports, Deps         []string
	Standard              bool
}

// goList returns what go list says of packages and, with -deps, of all they need.
func goList(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Name,Doc,Imports,Deps,Standard"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	return pkgs
}

// The guest runs as root everywhere: it carries no server, no cloud
// credential and nothing that only those need.
func TestGuestImportsNothingOfTheServer(t *testing.T) {
	forbidden := map[string]string{
		module + "/watch":                      "the watch server is a program of its own",
		"modernc.org/sqlite":                   "the server's store",
		"modernc.org/libc":                     "the server's store",
		"github.com/pressly/goose":             "the schema of the server's store",
		"github.com/fxamacker/cbor":            "a protocol that only the server decodes",
		"go.yaml.in/yaml":                      "only the server's rules are YAML",
		"github.com/gophercloud":               "only the server calls OpenStack",
		"github.com/prometheus":                "only the server has metrics to scrape",
		"github.com/aws/aws-sdk-go-v2/service": "of the SDK the guest has the signer alone",
		"github.com/rogpeppe/go-internal":      "it is for tests",
		"html/template":                        "it brings reflection that keeps every method of every type in the binary",
		"net/http/pprof":                       "the guest listens to nobody",
		"database/sql":                         "the guest has no database",
	}
	for _, p := range goList(t, "-deps", "./cmd/cfn-agent") {
		for prefix, reason := range forbidden {
			if p.ImportPath == prefix || strings.HasPrefix(p.ImportPath, prefix+"/") {
				t.Errorf("cmd/cfn-agent needs %s: %s", p.ImportPath, reason)
			}
		}
	}
}

// Dependencies point one way: commands, then what applies, then the types of
// the metadata, then leaves.
func TestImportsPointOneWay(t *testing.T) {
	leaves := []string{"agent/atomicfile", "agent/lock", "agent/metric", "agent/mountns", "agent/mustache", "agent/nearest", "agent/pattern", "agent/powercut", "agent/retry", "metadata/awsquery"}
	sections := []string{"agent/packages", "agent/accounts", "agent/sources", "agent/files", "agent/commands", "agent/services"}
	for _, p := range goList(t, "./...") {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		for _, imported := range p.Imports {
			of, ours := strings.CutPrefix(imported, module+"/")
			if !ours {
				continue
			}
			switch {
			case strings.HasPrefix(of, "cmd/"):
				t.Errorf("%s imports %s: nothing imports a command", name, of)
			case slices.Contains(leaves, name) && of != "agent/pattern":
				t.Errorf("%s imports %s: a leaf imports nothing of ours, but for a lazy pattern", name, of)
			case slices.Contains(sections, name) && slices.Contains(sections, of):
				t.Errorf("%s imports %s: what two sections need goes down, not sideways", name, of)
			case (name == "metadata" || name == "hooks") && !slices.Contains(leaves, of) && of != "metadata":
				t.Errorf("%s imports %s: it parses and decides, and knows nobody who acts", name, of)
			case name == "watch/outbox" && of == "agent/sys": // how a process is started and ended is told once
			case strings.HasPrefix(name, "watch") && !strings.HasPrefix(of, "watch") && !slices.Contains(leaves, of):
				t.Errorf("%s imports %s: of the guest the server knows the leaves alone", name, of)
			}
		}
	}
}

func TestEveryPackageIsDocumented(t *testing.T) {
	for _, p := range goList(t, "./...") {
		want := "Package " + p.Name + " "
		if p.Name == "main" {
			want = "Command " + path.Base(p.ImportPath) + " "
		}
		if !strings.HasPrefix(p.Doc, want) {
			t.Errorf("%s: its comment begins %q, want %q", p.ImportPath, p.Doc, want)
		}
	}
}
