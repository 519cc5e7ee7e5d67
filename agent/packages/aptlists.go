package packages

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// listsAge is how old the lists of apt may become; justUpdated is how recent
// an update is for which another would bring nothing.
const (
	listsAge    = 24 * time.Hour
	updatedPast = 5 * time.Minute
)

// aptLists are apt's lists of packages, and what they come from.
type aptLists struct {
	dir, stamp     string
	sources, parts string
}

// lists asks apt where its lists are; the answer is that of Debian when it
// gives none.
func (a *apt) lists(ctx context.Context) aptLists {
	l := aptLists{
		dir: "/var/lib/apt/lists", stamp: "/var/lib/apt/periodic/update-success-stamp",
		sources: "/etc/apt/sources.list", parts: "/etc/apt/sources.list.d",
	}
	res, err := a.query(ctx, "apt-config", "shell", "LISTS", "Dir::State::lists/d",
		"SOURCES", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d")
	if err == nil && res.Status == 0 {
		for line := range strings.Lines(string(res.Stdout)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			value = strings.Trim(value, "'")
			switch name {
			case "LISTS":
				l.dir, l.stamp = value, filepath.Join(value, "../periodic/update-success-stamp")
			case "SOURCES":
				l.sources = value
			case "PARTS":
				l.parts = value
			}
		}
	}
	for _, p := range []*string{&l.dir, &l.stamp, &l.sources, &l.parts} {
		*p = a.Path(*p)
	}
	return l
}

// stale says that there are no lists, or that they are old, or older than
// what they come from: an earlier step may have added a repository.
func (l aptLists) stale() bool {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return true
	}
	missing := true
	for _, e := range entries {
		missing = missing && (e.IsDir() || e.Name() == "lock")
	}
	updated := later(mtime(l.dir), mtime(l.stamp))
	changed := later(mtime(l.sources), mtime(l.parts))
	parts, _ := filepath.Glob(filepath.Join(l.parts, "*"))
	for _, p := range parts {
		changed = later(changed, mtime(p))
	}
	return missing || time.Since(updated) > listsAge || changed.After(updated)
}

// justUpdated says that the lists are so new that nothing newer can be hoped
// for. The state is the machine's, so it holds for all sets of a run.
func (l aptLists) justUpdated() bool { return !l.stale() && time.Since(mtime(l.dir)) < updatedPast }

func mtime(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// update brings the lists up to date. What it can't read is no reason to end:
// the package may be in another repository, or in the lists that are there.
func (a *apt) update(ctx context.Context, l aptLists) error {
	a.updated = true
	res, err := a.change(ctx, aptEnv, nil, "apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "update")
	if err != nil {
		return err
	}
	if res.Status != 0 {
		a.trouble = lastError(string(res.Stdout), "")
		return nil
	}
	// When nothing is new apt-get leaves the time as it was.
	now := time.Now()
	if err := os.Chtimes(l.dir, now, now); err != nil {
		a.Log.Debug("time of lists not set", "path", l.dir, "err", err)
	}
	return nil
}
