package packages

import (
	"cmp"
	"regexp"
	"testing"

	debversion "github.com/knqyf263/go-deb-version"
	rpmversion "github.com/knqyf263/go-rpm-version"
)

// Ascending, as rpm's own test suite and rpm-version(7) have them.
func TestOrderRPM(t *testing.T) {
	for _, ascending := range [][]string{
		{"1.0~rc1", "1.0~rc2", "1.0", "1.0^20240101", "1.0^20240102", "1.0.1", "1.1"},
		{"1.0~rc1^git1", "1.0~rc1^git2", "1.0"},
		{"2.0", "2.0.1", "2.0.1a", "2.0.2"},
		{"a", "a1", "1", "1a", "1.1"},
		{"9", "10", "99999999999999999999", "100000000000000000000"},
		{"2.0-1", "2.0-2", "2.0-10", "1:1.0-1", "2:0.1-1"},
		{"5.5p1", "5.5p2", "5.5p10"},
	} {
		for i, a := range ascending {
			for j, b := range ascending {
				if got := orderRPM(a, b); got != cmp.Compare(i, j) {
					t.Errorf("orderRPM(%s, %s) = %d, want %d", a, b, got, cmp.Compare(i, j))
				}
			}
		}
	}
	for _, equal := range [][2]string{{"1.0", "1_0"}, {"1.05", "1.5"}, {"0:1", "1"}, {"1.0.", "1.0"}} {
		if got := orderRPM(equal[0], equal[1]); got != 0 {
			t.Errorf("orderRPM(%s, %s) = %d, want 0", equal[0], equal[1], got)
		}
	}
}

// Ascending, as deb-version(7) explains them.
func TestOrderDeb(t *testing.T) {
	for _, ascending := range [][]string{
		{"1.0~~", "1.0~~a", "1.0~", "1.0", "1.0a", "1.0+b"},
		{"2.4.57-2", "2.4.57-2+deb12u1", "2.4.57-10", "2.4.58-1", "1:0.1-1"},
		{"1.0-0~1", "1.0", "1.0-1"},
		{"9", "10", "99999999999999999999", "100000000000000000000"},
	} {
		for i, a := range ascending {
			for j, b := range ascending {
				if got := compareDeb(a, b); cmp.Compare(got, 0) != cmp.Compare(i, j) {
					t.Errorf("compareDeb(%s, %s) = %d, want %d", a, b, got, cmp.Compare(i, j))
				}
			}
		}
	}
}

// The libraries are what ours is measured against.
func FuzzOrder(f *testing.F) {
	f.Add("1.0~rc1-1", "1:1.0^git-2")
	f.Add("2.4.57-2+deb12u1", "2.4.57-10")
	rpm := regexp.MustCompile(`^(0|[1-9][0-9]{0,3}:)?[a-zA-Z0-9.+~^_]+(-[a-zA-Z0-9.+~^_]+)?$`)
	deb := regexp.MustCompile(`^([1-9][0-9]{0,3}:)?[0-9][a-zA-Z0-9.+~]*(-[a-zA-Z0-9.+~]+)?$`)
	f.Fuzz(func(t *testing.T, a, b string) {
		if ab, ba := orderRPM(a, b), orderRPM(b, a); ab != -ba {
			t.Errorf("orderRPM(%q, %q) = %d, the other way %d", a, b, ab, ba)
		}
		if ab, ba := cmp.Compare(compareDeb(a, b), 0), cmp.Compare(compareDeb(b, a), 0); ab != -ba {
			t.Errorf("compareDeb(%q, %q) = %d, the other way %d", a, b, ab, ba)
		}
		if rpm.MatchString(a) && rpm.MatchString(b) {
			if got, want := orderRPM(a, b), rpmversion.NewVersion(a).Compare(rpmversion.NewVersion(b)); got != want {
				t.Errorf("orderRPM(%q, %q) = %d, the library says %d", a, b, got, want)
			}
		}
		if deb.MatchString(a) && deb.MatchString(b) {
			va, err1 := debversion.NewVersion(a)
			vb, err2 := debversion.NewVersion(b)
			if want := va.Compare(vb); err1 == nil && err2 == nil && cmp.Compare(compareDeb(a, b), 0) != cmp.Compare(want, 0) {
				t.Errorf("compareDeb(%q, %q) = %d, the library says %d", a, b, compareDeb(a, b), want)
			}
		}
	})
}
