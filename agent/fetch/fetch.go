// Package fetch downloads what a file, source or package of the metadata
// names: http, https, s3://bucket/key, file: and plain paths, to a private
// temporary file, with retries, and with the credentials that
// AWS::CloudFormation::Authentication has for the URL.
//
// It puts nothing into its final place, and unpacks nothing. The metadata
// itself is fetched elsewhere.
package fetch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/retry"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// DefaultLimit is the size in bytes beyond which a download is refused when a
// Client sets no other.
const DefaultLimit = 10 << 30

// A Client downloads. The zero value does so without credentials, with the
// proxies of the environment, and with retry.Default.
type Client struct {
	HTTP   *http.Client
	Auth   []metadata.Authentication
	Region string       // for S3 where the host names none; empty or not of AWS's form: us-east-1
	Retry  retry.Policy // Total bounds the retrying, not a download that makes progress
	Limit  int64        // bytes; 0: DefaultLimit
	// Header is the time to connect and get the answer's header, Idle the
	// time that a body may pause; 0: 40 and 60 seconds.
	Header, Idle time.Duration
}

// A Request says what to download. Only URL is needed.
type Request struct {
	// URL may end in #sha256= and the digest that the content must have. A
	// plain path is absolute, and like that of a file: URL one of the system.
	URL            string
	SHA256         string // hexadecimal; empty: not checked, unless URL has one
	Authentication string // name of the credentials to use; empty: those that cover URL
	Dir            string // private directory for the temporary file; empty: one of its own, in os.TempDir
	// Of an earlier File: when they are still right nothing is downloaded.
	ETag, LastModified string
}

// A File is what was downloaded. Remove must be called when it is not needed
// any more.
type File struct {
	Path               string // of the temporary file, mode 0600; empty when NotModified
	ETag, LastModified string // as the server gave them; of a local file, its own
	Size               int64
	SHA256             string // hexadecimal, lower case
	NotModified        bool   // what the caller has is still right
	dir                string
}

// Remove removes the temporary file.
func (f *File) Remove() error {
	if f == nil || f.Path == "" {
		return nil
	}
	err := os.Remove(f.Path)
	if f.dir != "" {
		err = errors.Join(err, os.Remove(f.dir))
	}
	return err
}

// Get downloads one URL. The first of several tries that fails is told as a
// warning. Errors name the URL without credentials, signatures and secrets of
// its query, what went wrong in the last try, and what ended the trying. An unknown name in Authentication is an
// *UnknownAuthenticationError.
func (c *Client) Get(ctx context.Context, s *sys.System, r Request) (*File, error) {
	t, err := c.target(s, r)
	if err != nil {
		return nil, err
	}
	dir, own := r.Dir, ""
	if dir == "" {
		if own, err = os.MkdirTemp("", "cfn-fetch-"); err != nil {
			return nil, err
		}
		dir = own
	}
	f, err := c.get(ctx, t, r, dir)
	if err != nil || f.NotModified {
		if own != "" {
			err = errors.Join(err, os.Remove(own))
		}
		return f, err
	}
	f.dir = own
	return f, nil
}

func (c *Client) get(ctx context.Context, t target, r Request, dir string) (f *File, err error) {
	tmp, err := os.CreateTemp(dir, "get-")
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, tmp.Close())
		if err != nil || f.NotModified {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
		if err != nil {
			f = nil
		}
	}()
	w := &sink{file: tmp, limit: cmp.Or(c.Limit, DefaultLimit)}
	if t.url == nil {
		f, err = copyLocal(w, t.path, r)
	} else {
		f, err = c.download(ctx, w, t, r)
	}
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", t.shown, err)
	}
	if f.NotModified {
		return f, nil
	}
	f.Path, f.Size, f.SHA256 = tmp.Name(), w.size, hex.EncodeToString(w.hash.Sum(nil))
	if t.sha256 != "" && f.SHA256 != t.sha256 {
		return nil, fmt.Errorf("get %s: its SHA-256 is %s, not %s", t.shown, f.SHA256, t.sha256)
	}
	return f, nil
}

// copyLocal copies a file of the system, so that what is checked is what is
// used.
func copyLocal(w *sink, path string, r Request) (*File, error) {
	// Opening a pipe would wait for its other end.
	in, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, plain(err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return nil, plain(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f := &File{
		ETag:         fmt.Sprintf("%x-%x", info.Size(), info.ModTime().UnixNano()),
		LastModified: info.ModTime().UTC().Format(http.TimeFormat),
	}
	if r.ETag == f.ETag {
		f.NotModified = true
		return f, nil
	}
	if err := w.reset(); err != nil {
		return nil, err
	}
	_, err = io.Copy(w, in)
	return f, err
}

// A sink is the temporary file, with the digest of what is in it.
type sink struct {
	file  *os.File
	hash  hash.Hash
	size  int64
	limit int64
}

// A writeError is one of the disk, which no retry mends.
type writeError struct{ error }

func (e writeError) Unwrap() error { return e.error }

func (w *sink) reset() error {
	w.size, w.hash = 0, sha256.New()
	if _, err := w.file.Seek(0, io.SeekStart); err != nil {
		return writeError{plain(err)}
	}
	if err := w.file.Truncate(0); err != nil {
		return writeError{plain(err)}
	}
	return nil
}

func (w *sink) Write(p []byte) (int, error) {
	if w.size += int64(len(p)); w.size > w.limit {
		return 0, w.tooLarge()
	}
	w.hash.Write(p)
	n, err := w.file.Write(p)
	if err != nil {
		return n, writeError{fmt.Errorf("write %s: %w", w.file.Name(), plain(err))}
	}
	return n, nil
}

func (w *sink) tooLarge() error {
	return writeError{fmt.Errorf("larger than the limit of %d bytes", w.limit)}
}

// plain returns what went wrong, without the path that a caller names better.
func plain(err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err
	}
	// Its URL may hold secrets, and its operation says nothing.
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return ue.Err
	}
	return err
}

// digest takes a digest from the metadata and one from the URL, of which at
// most one, or the same twice, may be given.
func digest(a, b string) (string, error) {
	a, b = strings.ToLower(a), strings.ToLower(b)
	if a != "" && b != "" && a != b {
		return "", errors.New("the #sha256 of the URL is not the sha256 that the metadata gives")
	}
	sum := cmp.Or(a, b)
	if raw, err := hex.DecodeString(sum); sum != "" && (err != nil || len(raw) != sha256.Size) {
		return "", errors.New("its sha256 is not 64 hexadecimal digits")
	}
	return sum, nil
}
