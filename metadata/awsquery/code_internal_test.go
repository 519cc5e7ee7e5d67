package awsquery

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"testing"
)

// What is written here for its cost gives what crypto/hmac gives.
func TestCodeIsHMAC(t *testing.T) {
	for _, key := range []int{0, 1, 31, 32, 63, 64} {
		for _, n := range []int{0, 1, 55, 56, 63, 64, 65, 170, 5000} {
			secret, text := make([]byte, key), make([]byte, sha256.BlockSize+n)
			rand.Read(secret)
			rand.Read(text)
			mac := hmac.New(sha256.New, secret)
			mac.Write(text[sha256.BlockSize:])
			if got := code(secret, text); !hmac.Equal(got[:], mac.Sum(nil)) {
				t.Errorf("a key of %d bytes and a text of %d: %x, want %x", key, n, got, mac.Sum(nil))
			}
		}
	}
}
