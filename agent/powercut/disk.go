package powercut

import (
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
)

// An op is one thing that happened to a file.
type op struct {
	kind   kind
	path   string
	to     string // of a rename or a link; what a symlink says
	data   []byte // of a write
	at     int64  // of a write: where, or -1 for the end; of cut: the new size
	before int    // of flush: how many ops it is sure to have found done
}

type kind int

const (
	create kind = iota
	mkdir
	symlink
	link
	write
	cut
	rename
	remove
	flush
)

// String is for people.
func (k kind) String() string {
	return [...]string{"create", "mkdir", "symlink", "link", "write", "truncate", "rename", "remove", "sync"}[k]
}

// page is what a disk writes whole.
const page = 4096

// A node is a file, a directory, or a symbolic link.
type node struct {
	dir  bool
	link string
	safe []byte     // what the file held at its last sync
	late map[int]op // what was done to it since, by number
}

// names are nodes by their paths.
type names map[string]*node

// A change of names is there whole or not at all; no node: the name is gone.
type change map[string]*node

func (c change) touches(dir string) bool {
	for path := range c {
		if filepath.Dir(path) == dir {
			return true
		}
	}
	return false
}

// A disk knows what is safe, and what is not yet.
type disk struct {
	now, safe names
	late      []change // of now, that safe does not have
}

func (d *disk) apply(number int, o op) {
	n := d.now[o.path]
	switch o.kind {
	case create:
		if n == nil {
			d.change(change{o.path: {late: map[int]op{}}})
		}
	case mkdir:
		d.change(change{o.path: {dir: true}})
	case symlink:
		d.change(change{o.path: {link: o.to}})
	case link:
		d.change(change{o.to: n})
	case rename:
		d.change(change{o.path: nil, o.to: n})
	case remove:
		d.change(change{o.path: nil})
	case write, cut:
		if n != nil {
			n.late[number] = o
		}
	case flush:
		if n == nil || n.dir { // the disk's own directory is no node of it
			d.flush(o.path)
		} else {
			n.flush(o.before)
		}
	}
}

func (d *disk) change(c change) {
	d.now.apply(c)
	d.late = append(d.late, c)
}

func (n names) apply(c change) {
	for path, node := range c {
		if n[path] = node; node == nil {
			delete(n, path)
		}
	}
}

func (d *disk) flush(dir string) {
	d.late = slices.DeleteFunc(d.late, func(c change) bool {
		if c.touches(dir) {
			d.safe.apply(c)
			return true
		}
		return false
	})
}

// left is what names there are after a loss.
func (d *disk) left(loss Loss, seed uint64) names {
	switch loss {
	case Nothing:
		return d.now
	case Some:
		some := maps.Clone(d.safe)
		for _, c := range d.late[:rand.New(rand.NewPCG(seed, 1)).IntN(len(d.late)+1)] {
			some.apply(c)
		}
		return some
	}
	return d.safe
}

func (n *node) flush(before int) {
	for _, number := range slices.Sorted(maps.Keys(n.late)) {
		if number < before {
			n.safe = apply(n.safe, n.late[number])
			delete(n.late, number)
		}
	}
}

// left is what a file holds after a loss.
func (n *node) left(loss Loss, seed uint64) []byte {
	data := slices.Clone(n.safe)
	if loss == Unsynced {
		return data
	}
	random := rand.New(rand.NewPCG(seed, 2))
	lost := func() bool { return loss == Some && random.IntN(2) == 0 }
	end := int64(len(data)) // where appended data goes, whether what is before it is there or not
	for _, number := range slices.Sorted(maps.Keys(n.late)) {
		o := n.late[number]
		if o.kind == cut {
			end = o.at
			if !lost() {
				data = apply(data, o)
			}
			continue
		}
		if o.at < 0 {
			o.at = end
		}
		end = max(end, o.at+int64(len(o.data)))
		for _, piece := range pages(o) {
			if !lost() {
				data = apply(data, piece)
			}
		}
	}
	return data
}

// pages are the parts of a write that a disk takes whole.
func pages(o op) (list []op) {
	for len(o.data) > 0 {
		piece := o
		piece.data = o.data[:min(int64(len(o.data)), page-o.at%page)]
		list = append(list, piece)
		o.data, o.at = o.data[len(piece.data):], o.at+int64(len(piece.data))
	}
	return list
}

// apply does a write or a cut to what a file holds.
func apply(data []byte, o op) []byte {
	if o.kind == cut {
		data = data[:min(int64(len(data)), o.at)]
		return append(data, make([]byte, o.at-int64(len(data)))...)
	}
	if o.at < 0 {
		return append(data, o.data...)
	}
	if hole := o.at + int64(len(o.data)) - int64(len(data)); hole > 0 {
		data = append(data, make([]byte, hole)...)
	}
	copy(data[o.at:], o.data)
	return data
}

func within(path, dir string) bool { return strings.HasPrefix(path, dir+"/") }

type namedNode struct {
	name string
	node *node
}

// below are the nodes on the disk whose directories are there too, each after
// its directory.
func (m *Machine) below(all names) (list []namedNode) {
	there := map[string]bool{m.disk: true}
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if within(m.world, m.disk) && within(path, m.world) || !there[filepath.Dir(path)] {
			continue
		}
		there[path] = all[path].dir
		list = append(list, namedNode{path, all[path]})
	}
	return list
}
