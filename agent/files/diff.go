package files

import (
	"bytes"
	"io"
	"io/fs"
	"strings"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff"

	"github.com/cfn-agent/cfn-agent/agent/fetch"
	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// maxDiff bounds what a diff is made of; longer files are compared only.
const maxDiff = 256 << 10

// diff is the unified diff of what is there and what is to come, with what
// looks like a secret masked. A file that not everybody may read, before or
// after, is not shown.
func (it *item) diff(want content, mode fs.FileMode) string {
	if mode&0o004 == 0 || it.old.kind == regular && it.old.info.Mode()&0o004 == 0 {
		return "content differs (private file, not shown)\n"
	}
	if !it.file.HasContent && it.old.kind == regular {
		return "content differs: " + fetch.Shown(it.file.Source) + "\n"
	}
	if !it.file.HasContent {
		return "content of " + fetch.Shown(it.file.Source) + "\n"
	}
	before, ok1 := it.oldText()
	after, ok2 := text(want.data)
	if !ok1 || !ok2 {
		return "binary content differs\n"
	}
	from, to := it.old.describe(it.file.Path), it.file.Path
	d := udiff.Unified(from, to, it.hide(before), it.hide(after))
	if d == "" && it.old.kind == regular {
		return "content differs in what is masked\n"
	}
	if d == "" {
		return "--- " + from + "\n+++ " + to + "\n"
	}
	return d
}

// unknown stands for the diff of a file whose source could not be had.
func (it *item) unknown() string {
	url := fetch.Shown(it.file.Source)
	why := strings.TrimPrefix(it.unfetched.Error(), "get "+url+": ")
	return it.Mask.String("would be written from " + url + ": it could not be fetched: " + why + "\n")
}

func (it *item) oldText() (string, bool) {
	if it.old.kind != regular {
		return "", true
	}
	if it.old.file == nil {
		return "", false
	}
	data, err := io.ReadAll(io.NewSectionReader(it.old.file, 0, maxDiff+1))
	if err != nil {
		return "", false
	}
	return text(data)
}

// text is data as a string, if it is text short enough to be shown.
func text(data []byte) (string, bool) {
	return string(data), len(data) <= maxDiff && utf8.Valid(data) && bytes.IndexByte(data, 0) < 0
}

func (it *item) hide(text string) string {
	return sys.MaskLikely(it.Mask.String(text))
}
