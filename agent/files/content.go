package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cfn-agent/cfn-agent/agent/fetch"
	"github.com/cfn-agent/cfn-agent/agent/mustache"
	"github.com/cfn-agent/cfn-agent/agent/retry"
)

// maxTemplate bounds a source that is rendered: rendering holds it in memory.
const maxTemplate = 64 << 20

// A content is what a file is to hold: bytes, or what was downloaded. The
// zero value is empty.
type content struct {
	data []byte
	file *fetch.File // nil: data
}

func (c content) open() (io.ReadCloser, error) {
	if c.file == nil {
		return io.NopCloser(bytes.NewReader(c.data)), nil
	}
	return os.Open(c.file.Path)
}

func (c content) size() int64 {
	if c.file == nil {
		return int64(len(c.data))
	}
	return c.file.Size
}

// remove removes the download, which nobody but its owner could read.
func (c content) remove() { _ = c.file.Remove() }

// content gets what the file is to hold. When the download fails it says so
// in it.failed; the file is then left as it is. A dry run tries once, and says
// it in it.unfetched: an earlier item of the config may bring the source.
func (it *item) content(ctx context.Context, c *fetch.Client) (content, error) {
	if it.file.HasContent {
		data, err := it.text(it.file.Content)
		return content{data: data}, err
	}
	if it.DryRun {
		once := *c
		once.Retry = retry.Policy{Tries: 1}
		c = &once
	}
	got, err := c.Get(ctx, it.System, fetch.Request{
		URL: it.file.Source, SHA256: it.file.SHA256, Authentication: it.file.Authentication,
	})
	if _, unknown := errors.AsType[*fetch.UnknownAuthenticationError](err); unknown || ctx.Err() != nil {
		return content{}, errors.Join(err, got.Remove())
	}
	if err != nil && it.DryRun {
		it.unfetched = err
		return content{}, nil
	}
	if err != nil {
		it.failed = append(it.failed, fmt.Sprintf("%v: the file is left as it is", err))
		return content{}, nil
	}
	if !it.file.HasContext {
		return content{file: got}, nil
	}
	defer got.Remove()
	if got.Size > maxTemplate {
		it.failed = append(it.failed, fmt.Sprintf("%s has %d bytes, too many to render", fetch.Shown(it.file.Source), got.Size))
		return content{}, nil
	}
	template, err := os.ReadFile(got.Path)
	if err != nil {
		return content{}, err
	}
	data, err := it.text(template)
	if err != nil {
		it.failed = append(it.failed, err.Error())
	}
	return content{data: data}, nil
}

// text is a template rendered, or the text itself when there is no context.
func (it *item) text(template []byte) ([]byte, error) {
	if !it.file.HasContext {
		return template, nil
	}
	text, err := mustache.Render(string(template), it.file.Context)
	if err != nil {
		return nil, fmt.Errorf("render %s as Mustache: %w", it.file.Path, err)
	}
	return []byte(text), nil
}

// sameContent says whether the file that is there holds what it is to hold.
func (it *item) sameContent(want content) (bool, error) {
	if it.old.file == nil || it.old.info.Size() != want.size() {
		return false, nil
	}
	r, err := want.open()
	if err != nil {
		return false, err
	}
	defer r.Close()
	const chunk = 64 << 10
	a, b := make([]byte, min(chunk, want.size())), make([]byte, min(chunk, want.size()))
	for left := want.size(); left > 0; {
		n := min(left, chunk)
		if _, err := io.ReadFull(r, a[:n]); err != nil {
			return false, err
		}
		if _, err := io.ReadFull(it.old.file, b[:n]); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return false, nil
		} else if err != nil {
			return false, fmt.Errorf("read %s: %w", it.file.Path, errno(err))
		}
		if !bytes.Equal(a[:n], b[:n]) {
			return false, nil
		}
		left -= n
	}
	return true, nil
}
