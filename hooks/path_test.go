package hooks

import (
	"strings"
	"testing"
)

func TestParsePath(t *testing.T) {
	tests := []struct {
		path string
		want Target
	}{
		{"Resources.R", Target{"R", LastUpdated, ""}},
		{"resources.R.metadata", Target{"R", Metadata, ""}},
		{"Resources.R.Metadata.AWS::CloudFormation::Init", Target{"R", Metadata, "AWS::CloudFormation::Init"}},
		{`Resources.R.Metadata.a\.b.c`, Target{"R", Metadata, `a\.b.c`}},
		{`Resources.my\.R.METADATA.a`, Target{"my.R", Metadata, "a"}},
		{"Resources.R.physicalResourceId", Target{"R", PhysicalResourceID, ""}},
	}
	for _, tt := range tests {
		if got, err := ParsePath(tt.path); err != nil || got != tt.want {
			t.Errorf("ParsePath(%q) = %+v, %v, want %+v", tt.path, got, err, tt.want)
		}
	}
}

// A path without a dot ended heat-cfntools with an IndexError; what stands
// after the resource it did not read at all.
func TestPathsThatAreNone(t *testing.T) {
	for path, want := range map[string]string{
		"":                                 "does not begin with Resources.ID",
		"R":                                "does not begin with Resources.ID",
		"Resources":                        "does not begin with Resources.ID",
		"Resource.R.Metadata":              "does not begin with Resources.ID",
		"Resources.":                       "names no resource",
		"Resources..Metadata":              "names no resource",
		"Resources.R.":                     "after the resource comes",
		"Resources.R.Outputs":              "after the resource comes",
		"Resources.R.PhysicalResourceId.x": "after the resource comes",
		"Resources.R.Metadata.":            "a key of it is empty",
		"Resources.R.Metadata.a..b":        "a key of it is empty",
	} {
		if got, err := ParsePath(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParsePath(%q) = %+v, %v, want an error with %q", path, got, err, want)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	f.Add(`Resources.a\.b.Metadata.c.d\.e`)
	f.Add(`Resources.R.PhysicalResourceId`)
	f.Fuzz(func(t *testing.T, path string) {
		target, err := ParsePath(path)
		if err != nil {
			return
		}
		back := "Resources." + strings.ReplaceAll(target.Resource, ".", `\.`)
		switch target.Part {
		case PhysicalResourceID:
			back += ".PhysicalResourceId"
		case Metadata:
			back += ".Metadata"
			if target.Key != "" {
				back += "." + target.Key
			}
		}
		if again, err := ParsePath(back); err != nil || again != target {
			t.Errorf("ParsePath(%q) = %+v; ParsePath(%q) = %+v, %v", path, target, back, again, err)
		}
	})
}
