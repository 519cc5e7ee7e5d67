package sources

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"io/fs"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

var epoch = time.Unix(1_000_000_000, 0)

// file, dir, link and hardlink are members of a tar archive.
func file(name, text string) *tar.Header {
	return &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text)), ModTime: epoch, PAXRecords: map[string]string{"TEST.text": text}}
}

func dir(name string) *tar.Header {
	return &tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755, ModTime: epoch}
}

func link(name, target string) *tar.Header {
	return &tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777, ModTime: epoch}
}

func hardlink(name, target string) *tar.Header {
	return &tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target, Mode: 0o644, ModTime: epoch}
}

func special(name string, kind byte) *tar.Header {
	return &tar.Header{Name: name, Typeflag: kind, Mode: 0o666, ModTime: epoch}
}

func withMode(h *tar.Header, mode int64) *tar.Header {
	h.Mode = mode
	return h
}

func withOwner(h *tar.Header, user string, uid int) *tar.Header {
	h.Uname, h.Gname, h.Uid, h.Gid = user, user, uid, uid
	return h
}

func makeTar(t testing.TB, members ...*tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range members {
		text := h.PAXRecords["TEST.text"]
		plain := *h
		if plain.PAXRecords = nil; h.Typeflag == tar.TypeXGlobalHeader {
			plain = tar.Header{Typeflag: h.Typeflag, PAXRecords: map[string]string{"comment": "0a1b2c"}}
		}
		if err := w.WriteHeader(&plain); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, text)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func xzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := xz.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstdipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type zipMember struct {
	name, text string
	mode       fs.FileMode
}

func makeZip(t testing.TB, members ...zipMember) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: zip.Deflate, Modified: epoch}
		if m.mode != 0 {
			h.SetMode(m.mode)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(f, m.text)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func unbase64(t testing.TB, text string) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Made by Python's tarfile and bz2: x.txt with "bzipped", alone and in a tar
// archive. The standard library only reads bzip2.
const (
	bzipTar = "QlpoOTFBWSZTWQkK5NkAAHT7gMqQABBAAWWAAAh2IF5QCAggAFQ0p6mQDJmoNMeqCSSek0aNAAB91MghBJ0IRfy0iu1ooEMG0Dyj4sh2EMqBY7Bme9VEjSpwtUzNr34MURAPxdyRThQkAkK5NkA="
	bzip    = "QlpoOTFBWSZTWeeSVRgAAADBgAAQFiBAECAAIhpjUIYDk6IPF3JFOFCQ55JVGA=="
)
