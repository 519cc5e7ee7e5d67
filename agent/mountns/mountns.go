// Package mountns gives a test that mounts file systems a mount namespace of
// its own (mount_namespaces(7)): what it mounts is seen by nobody else, and is
// gone with it. It is for tests alone.
package mountns

import (
	"os"
	"os/exec"
	"testing"
)

const inside = "CFN_TEST_MOUNT_NAMESPACE"

// Enter is true in the namespace. Elsewhere it runs the test once more by
// itself, inside one, fails as that does, and is false. It needs unshare(1),
// and root or user namespaces.
func Enter(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		return true
	}
	args := []string{"--mount", "--propagation", "private", os.Args[0], "-test.run=^" + t.Name() + "$", "-test.v"}
	if os.Geteuid() != 0 {
		args = append([]string{"--map-root-user"}, args...)
	}
	cmd := exec.Command("unshare", args...)
	cmd.Env = append(os.Environ(), inside+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}
