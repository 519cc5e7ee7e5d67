package sources

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/xi2/xz"

	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// A member is one entry of an archive, as the archive says it.
type member struct {
	name        string
	mode        fs.FileMode // type, permissions and sticky bit
	hard        bool        // a hard link to link
	link        string      // what a link points to
	time        time.Time   // zero: unknown
	user, group string
	uid, gid    int // -1: unknown
	body        io.Reader
}

const (
	// Memory that a decompressor may take for its window: more than the
	// highest levels of xz (64 MiB) and zstd (128 MiB) want.
	maxWindow = 256 << 20
	block     = 512
	emptyTar  = 20 * block // what tar writes for no members
	maxTarget = 4096       // of a symbolic link
)

var errUnknown = errors.New("neither a tar or zip archive nor a file compressed by gzip, bzip2, xz or zstd")

// walk calls add for each member of an archive. single is the name for what
// is no archive but one compressed file.
func walk(f *os.File, single string, st *stage) error {
	r := bufio.NewReaderSize(f, 64<<10)
	head, _ := r.Peek(block)
	if bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte("PK\x05\x06")) {
		return walkZip(f, st)
	}
	plain, err := decompress(r, head)
	if err != nil {
		return err
	}
	if plain != nil {
		defer plain.Close()
		return walkStream(bufio.NewReaderSize(&meter{plain, &st.read, st}, 64<<10), single, st)
	}
	if isTar(r) {
		return walkStream(bufio.NewReaderSize(&meter{r, &st.read, st}, 64<<10), "", st)
	}
	// A zip archive may begin with a program that unpacks it.
	err = walkZip(f, st)
	if errors.Is(err, zip.ErrFormat) {
		return errUnknown
	}
	return err
}

// decompress returns a reader of what is compressed in r, or nil when nothing
// is.
func decompress(r io.Reader, head []byte) (io.ReadCloser, error) {
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return gzip.NewReader(r)
	case bytes.HasPrefix(head, []byte("BZh")) && len(head) > 3 && head[3] >= '1' && head[3] <= '9':
		return io.NopCloser(bzip2.NewReader(r)), nil
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")):
		x, err := xz.NewReader(r, maxWindow)
		return io.NopCloser(x), err
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return nil, nil
}

// isTar says whether a tar archive begins here: the checksum of its first
// header decides, or that it is nothing but the end of one.
func isTar(r *bufio.Reader) bool {
	head, _ := r.Peek(block)
	_, err := tar.NewReader(bytes.NewReader(head)).Next()
	switch {
	case err == nil, errors.Is(err, io.ErrUnexpectedEOF) && len(head) == block:
		return true
	case !errors.Is(err, io.EOF):
		return false
	}
	// A disk image begins with zeros too.
	all, _ := r.Peek(emptyTar + 1)
	return len(all) >= 2*block && len(all) <= emptyTar && len(all)%block == 0 && len(bytes.Trim(all, "\x00")) == 0
}

// walkStream goes through a tar archive, or takes the stream as a single
// file; an empty name stands for none.
func walkStream(r *bufio.Reader, single string, st *stage) error {
	if !isTar(r) {
		if single == "" {
			return errors.New("a single compressed file, and its URL does not end in a name for it")
		}
		return st.add(member{name: single, mode: 0o644, body: r, uid: -1, gid: -1})
	}
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			// To the end, where the checksums of the compression are.
			_, err = io.Copy(io.Discard, r)
			return err
		}
		if err != nil {
			return err
		}
		m, ok, err := tarMember(h, t)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := st.add(m); err != nil {
			return err
		}
	}
}

func tarMember(h *tar.Header, body io.Reader) (m member, ok bool, err error) {
	m = member{
		name: h.Name, mode: sys.FileMode(uint32(h.Mode) & 0o1777), link: h.Linkname, time: h.ModTime,
		user: h.Uname, group: h.Gname, uid: h.Uid, gid: h.Gid, body: body,
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		if strings.HasSuffix(h.Name, "/") {
			m.mode |= fs.ModeDir
		}
	case tar.TypeDir:
		m.mode |= fs.ModeDir
	case tar.TypeSymlink:
		m.mode |= fs.ModeSymlink
	case tar.TypeLink:
		m.hard = true
	case tar.TypeXGlobalHeader:
		return m, false, nil
	default:
		return m, false, fmt.Errorf("member %q is neither a file, a directory nor a link", h.Name)
	}
	return m, true, nil
}

func walkZip(f *os.File, st *stage) error {
	dir := &directory{r: f, left: maxWindow / 4}
	z, err := zip.NewReader(dir, st.archive)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return err
	}
	dir.left = 1<<63 - 1
	for _, file := range z.File {
		if err := addZip(file, st); err != nil {
			return err
		}
	}
	return nil
}

// A directory bounds what is read of a zip archive before its members are
// counted: the library keeps all of the central directory in memory.
type directory struct {
	r    io.ReaderAt
	left int64
}

func (d *directory) ReadAt(p []byte, off int64) (int, error) {
	if d.left -= int64(len(p)); d.left < 0 {
		return 0, errors.New("its directory is too large")
	}
	return d.r.ReadAt(p, off)
}

func addZip(file *zip.File, st *stage) error {
	const encrypted, typeMask, typeFile, typeDir, typeLink = 1, 0o170000, 0o100000, 0o040000, 0o120000
	unix := file.ExternalAttrs >> 16
	m := member{name: file.Name, mode: sys.FileMode(unix & 0o1777), time: file.Modified, uid: -1, gid: -1}
	isDir := strings.HasSuffix(file.Name, "/")
	switch kind := unix & typeMask; {
	case file.Flags&encrypted != 0:
		return fmt.Errorf("member %q is encrypted", file.Name)
	case isDir || kind == typeDir:
		m.mode |= fs.ModeDir
	case kind == typeLink:
		m.mode |= fs.ModeSymlink
	case kind != 0 && kind != typeFile:
		return fmt.Errorf("member %q is neither a file, a directory nor a link", file.Name)
	}
	if m.mode.Perm() == 0 {
		m.mode |= 0o644
		if m.mode.IsDir() {
			m.mode |= 0o755
		}
	}
	body, err := file.Open()
	if err != nil {
		return fmt.Errorf("member %q: %w", file.Name, err)
	}
	defer body.Close()
	m.body = &meter{body, &st.read, st}
	if m.mode&fs.ModeSymlink != 0 {
		target, err := io.ReadAll(io.LimitReader(m.body, maxTarget))
		if err != nil {
			return err
		}
		m.link = string(target)
	}
	return st.add(m)
}
