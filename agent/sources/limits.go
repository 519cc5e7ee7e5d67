package sources

import (
	"fmt"
	"io"
)

// limits are how much an archive may unpack to.
type limits struct {
	bytes   int64
	members int
	ratio   int64 // times the size of the archive
	floor   int64 // bytes up to which the ratio does not count: all small files compress well
}

// maxDepth is how many directories a member may be below: each is looked up
// again for each member. The trees of real archives have some dozens.
const maxDepth = 256

func defaultLimits() limits {
	return limits{bytes: 10 << 30, members: 200_000, ratio: 1000, floor: 1 << 20}
}

// A meter counts what it reads, and stops when that is too much.
type meter struct {
	r  io.Reader
	n  *int64
	st *stage
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	*m.n += int64(n)
	if limit := m.st.check(); limit != nil {
		return n, limit
	}
	return n, err
}

func (st *stage) check() error {
	if err := st.stop(); err != nil {
		return err
	}
	n := max(st.read, st.written)
	switch {
	case n > st.max.bytes:
		return fmt.Errorf("it unpacks to more than %d bytes", st.max.bytes)
	case n > st.max.floor && n/st.max.ratio > st.archive:
		return fmt.Errorf("it unpacks to more than %d times its size", st.max.ratio)
	}
	return nil
}
