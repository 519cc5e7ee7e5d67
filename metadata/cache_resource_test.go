package metadata

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLastOfResource(t *testing.T) {
	c := Cache{Dir: filepath.Join(t.TempDir(), "cache")}
	if d, ok := c.Last("R"); ok {
		t.Errorf("Last = %s before anything was saved", d.Bytes())
	}
	save := func(text, resource string, save func(Document, string) error) {
		t.Helper()
		d, err := Parse([]byte(text))
		if err == nil {
			err = save(d, resource)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	save(`{"r": 1}`, "R", c.Save)
	save(`{"s": 1}`, "S", c.SaveResource)
	for name, want := range map[string]string{"last_metadata": `{"r":1}`, "last_metadata_R": `{"r":1}`, "last_metadata_S": `{"s":1}`} {
		if data, err := os.ReadFile(filepath.Join(c.Dir, name)); err != nil || string(data) != want {
			t.Errorf("%s = %s, %v, want %s", name, data, err, want)
		}
	}
	if d, ok := c.Last("S"); !ok || string(d.Bytes()) != `{"s":1}` || d.Origin != filepath.Join(c.Dir, "last_metadata_S") {
		t.Errorf("Last(S) = %s of %s, %v", d.Bytes(), d.Origin, ok)
	}
	if err := os.WriteFile(filepath.Join(c.Dir, "last_metadata_S"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if d, ok := c.Last("S"); ok {
		t.Errorf("Last = %s of a damaged file", d.Bytes())
	}
}
