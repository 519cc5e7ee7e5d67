package metadata

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCacheKeepsMetadataPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	c := Cache{dir}
	if err := c.Save(parse(t, "{\n \"a\": 1}"), "R"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v, want 0700", info.Mode(), err)
	}
	for _, name := range []string{"last_metadata", "last_metadata_R"} {
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(path)
		if err != nil || string(data) != `{"a":1}` {
			t.Errorf("%s = %q, %v, want compact JSON", name, data, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want 0600", name, info.Mode(), err)
		}
	}
}

// In a fresh image /var is for everybody; the directory itself is not, though
// heat-cfntools made it 0755.
func TestCacheClosesItsDirectoryAlone(t *testing.T) {
	root := t.TempDir()
	c := Cache{filepath.Join(root, DefaultCacheDir)}
	mode := func(path string) os.FileMode {
		info, err := os.Stat(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	for range 2 {
		if err := c.Save(parse(t, `{}`), ""); err != nil {
			t.Fatal(err)
		}
		if v, d := mode("var"), mode(DefaultCacheDir); v != 0o755 || d != 0o700 {
			t.Errorf("modes: %v for /var, %v for the directory, want 0755 and 0700", v, d)
		}
		if err := os.Chmod(c.Dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// A resource's name must not lead out of the directory.
func TestCacheNamesFilesSafely(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	if err := (Cache{dir}).Save(parse(t, `{}`), "../../R"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "last_metadata_..%2F..%2FR")); err != nil {
		t.Error(err)
	}
}

// heat-cfntools let an exception end the run when the directory could not be
// written.
func TestCacheNotWritableIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	if err := (Cache{filepath.Join(file, "cache")}).Save(parse(t, `{}`), ""); err == nil || !strings.Contains(err.Error(), "keep the metadata: ") {
		t.Errorf("Save = %v, want an error that says what", err)
	}
}

// The order of the files: what is last known of the resource, of any, and
// what came with the first boot. The hook of heat-agents writes last_metadata
// and runs cfn-init without arguments, so that one goes before the boot's.
func TestLocalOrder(t *testing.T) {
	root := t.TempDir()
	local := Local{Root: root, Cache: Cache{filepath.Join(root, DefaultCacheDir)}, Resource: "R"}
	if _, err := local.Fetch(t.Context()); !errors.Is(err, ErrNoLocal) {
		t.Fatalf("Fetch without files = %v, want ErrNoLocal", err)
	}
	order := []string{
		"/var/lib/cloud/data/cfn-init-data", "/var/lib/heat-cfntools/cfn-init-data",
		"/var/cache/heat-cfntools/last_metadata", "/var/cache/heat-cfntools/last_metadata_R",
	}
	for _, path := range order {
		write(t, filepath.Join(root, path), `{"from": "`+path+`"}`+"\n")
		d, err := local.Fetch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if v, _ := d.Lookup("from"); string(v) != `"`+path+`"` {
			t.Errorf("Fetch gives %s, want that of %s", v, path)
		}
		if d.Origin != filepath.Join(root, path) {
			t.Errorf("Origin = %s, want %s", d.Origin, path)
		}
	}
	local.Resource = ""
	if d, _ := local.Fetch(t.Context()); !strings.HasSuffix(d.Origin, "/last_metadata") {
		t.Errorf("without a resource Fetch reads %s, want last_metadata", d.Origin)
	}
}

func TestLocalNamesBrokenFile(t *testing.T) {
	root := t.TempDir()
	local := Local{Root: root, Cache: Cache{filepath.Join(root, DefaultCacheDir)}}
	write(t, filepath.Join(root, DefaultCacheDir, "last_metadata"), "{")
	write(t, filepath.Join(root, "/var/lib/heat-cfntools/cfn-init-data"), "{}")
	if _, err := local.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "last_metadata: the metadata is not JSON") {
		t.Errorf("Fetch = %v, want an error that names the file", err)
	}
}
