package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/cfn-agent/cfn-agent/agent/lock"
	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func overwrite(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFilesArePrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := opened(t, path)
	put(t, s, "a")
	if err := s.Backup(t.Context(), path+".backup"); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", f.Name(), info.Mode())
		}
	}
	for _, suffix := range []string{"", windowSuffix} {
		if err := os.Chmod(path+suffix, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	opened(t, path)
	for _, suffix := range []string{"", windowSuffix} {
		if info, err := os.Stat(path + suffix); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s, which all could read, has mode %v, %v, once opened, want 0600", path+suffix, info.Mode(), err)
		}
	}
	if len(files) < 6 { // the store, its log and index, the windows, the lock, the backup
		t.Errorf("there are %v, want the log and the index of the store too", files)
	}
}

// What is acknowledged must be on the disk: the documentation of SQLite says
// that in WAL mode only FULL syncs each commit.
func TestCommitsAreSynced(t *testing.T) {
	s := fresh(t)
	var mode string
	var synchronous int
	if err := s.writer.QueryRow("PRAGMA journal_mode").Scan(&mode); err != nil {
		t.Fatal(err)
	}
	if err := s.writer.QueryRow("PRAGMA synchronous").Scan(&synchronous); err != nil || mode != "wal" || synchronous != 2 {
		t.Errorf("journal mode %s, synchronous %d, %v, want wal and 2", mode, synchronous, err)
	}
}

func TestSecondServerIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := opened(t, path)
	_, err := Open(t.Context(), path, Options{})
	if want := "open the store " + path + ": another process holds it: is cfn-watch running already?"; !errors.Is(err, lock.ErrHeld) || err.Error() != want {
		t.Errorf("Open of a store that is open = %v, want %s", err, want)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	opened(t, path)
}

// A store that is damaged anywhere stays as it is, and the error says in one
// line how to go on.
func TestDamagedStoreIsLeftAsItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := opened(t, path)
	populate(t, s, 500)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good := read(t, path)
	f := func(why string, damage func(data []byte) []byte) {
		t.Helper()
		bad := damage(bytes.Clone(good))
		overwrite(t, path, bad)
		_, err := Open(t.Context(), path, Options{})
		var damaged *DamagedError
		if !errors.As(err, &damaged) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "--new-store") {
			t.Errorf("%s: Open = %v, want one line of a DamagedError", why, err)
		}
		if !bytes.Equal(read(t, path), bad) {
			t.Errorf("%s: the damaged store was changed", why)
		}
	}
	f("no database", func([]byte) []byte { return []byte("[server]\nlisten = 127.0.0.1\n") })
	f("empty", func([]byte) []byte { return nil })
	f("cut off", func(d []byte) []byte { return d[:len(d)/2] })
	f("header", func(d []byte) []byte { copy(d, "garbage!"); return d })
	f("a page of zeros", func(d []byte) []byte { clear(d[8192:12288]); return d })
	f("pages of noise", func(d []byte) []byte {
		for i := 4096; i < len(d); i += 3 {
			d[i] ^= 0x5a
		}
		return d
	})
	overwrite(t, path, good)
	if got := loadAll(t, opened(t, path)); len(got) != 500 {
		t.Errorf("the undamaged store has %d alarms, want 500", len(got))
	}
}

// A disk that does not answer has not damaged the store that is on it: nothing
// says that a backup should take its place.
func TestStoreOnADiskThatFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	// Nothing is at the start of a process: reading there is an input/output error.
	if err := os.Symlink("/proc/self/mem", path); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), path, Options{})
	if err == nil {
		s.Close()
		t.Fatal("a store was opened where nothing can be read")
	}
	if damaged, ok := errors.AsType[*DamagedError](err); ok || !strings.Contains(err.Error(), "I/O") {
		t.Errorf("Open = %v, damaged: %v, want an error of the disk", err, damaged)
	}
}

// A start that is broken off says so, and calls nothing damaged.
func TestOpenIsBrokenOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if err := opened(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, path, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Open = %v, want %v", err, context.Canceled)
	}
}

func TestNewStoreKeepsTheOldOne(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.db")
	overwrite(t, path, []byte("damaged"))
	s, err := Open(t.Context(), path, Options{New: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := loadAll(t, s); len(got) != 0 {
		t.Errorf("the new store has %d alarms", len(got))
	}
	old, err := filepath.Glob(path + ".old-*")
	if err != nil || len(old) != 1 || string(read(t, old[0])) != "damaged" {
		t.Errorf("set aside are %v, %v, want the damaged store", old, err)
	}
}

// Alarms of a new store have the ids, and so their actions the keys, of those of the
// one before: a command once had run, by the mark that one of the same key had left.
func TestNewStoreHasNoMarks(t *testing.T) {
	for name, o := range map[string]Options{"asked for": {New: true}, "the old one is gone": {}} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			if o.New {
				overwrite(t, path, []byte("damaged"))
			}
			if err := os.Mkdir(path+MarksSuffix, 0o700); err != nil {
				t.Fatal(err)
			}
			overwrite(t, filepath.Join(path+MarksSuffix, "mark"), []byte("x"))
			o.Log = slog.New(slog.DiscardHandler)
			s, err := Open(t.Context(), path, o)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			kept, err := filepath.Glob(path + ".old-*" + MarksSuffix + "/mark")
			if _, there := os.Stat(path + MarksSuffix); err != nil || len(kept) != 1 || !errors.Is(there, fs.ErrNotExist) {
				t.Errorf("set aside is %v, %v, and in its place %v, want the mark, and nothing", kept, err, there)
			}
		})
	}
}

func TestDamagedWindowsAreSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := opened(t, path)
	populate(t, s, 500)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	bad := read(t, path+windowSuffix)
	for i := 4096; i < len(bad); i++ {
		bad[i] ^= 0x5a
	}
	overwrite(t, path+windowSuffix, bad)
	s, err := Open(t.Context(), path, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got := loadAll(t, s)
	for _, l := range got {
		if l.Kept.Window != nil || !l.Kept.Fed.IsZero() {
			t.Fatalf("a window was read of a damaged file: %+v", l.Kept)
		}
	}
	old, err := filepath.Glob(path + windowSuffix + ".old-*Z")
	if err != nil || len(old) != 1 || !bytes.Equal(read(t, old[0]), bad) || len(got) != 500 {
		t.Errorf("%d alarms, and set aside are %v, %v, want 500 and the damaged windows", len(got), old, err)
	}
	if err := s.Flush(t.Context(), []watch.Kept{{AlarmID: 1, Fed: now}}); err != nil {
		t.Errorf("Flush to new windows = %v", err)
	}
}

// Windows that another version of the program packed are not unpacked.
func TestWindowsOfAnotherVersionAreSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := opened(t, path)
	a := put(t, s, "a")
	if err := s.Flush(t.Context(), []watch.Kept{{AlarmID: a, Fed: now, Window: []byte{1}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.windows.ExecContext(t.Context(), "PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := loadAll(t, opened(t, path)); len(got) != 1 || got["a"].Kept.Window != nil {
		t.Errorf("loaded %+v, want an alarm without a window", got)
	}
	if old, err := filepath.Glob(path + windowSuffix + ".old-*Z"); err != nil || len(old) != 1 {
		t.Errorf("set aside are %v, %v, want the windows", old, err)
	}
}

// A backup is put in place of a store by copying it. What the killed server
// left beside the store, a log and windows, belongs to the other database:
// SQLite would play the log into the backup.
func TestBackupTakesTheStoresPlace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.db")
	s := opened(t, path)
	populate(t, s, 100)
	if err := s.Backup(t.Context(), filepath.Join(dir, "backup")); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteAlarms(t.Context(), []int64{1, 2, 3}, nil); err != nil {
		t.Fatal(err)
	}
	put(t, s, "after the backup")
	// As after kill -9: log and index stay.
	left := map[string][]byte{}
	for _, suffix := range []string{"-wal", "-shm", windowSuffix} {
		left[path+suffix] = read(t, path+suffix)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, data := range left {
		overwrite(t, name, data)
	}
	overwrite(t, path, read(t, filepath.Join(dir, "backup")))
	s, err := Open(t.Context(), path, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got := loadAll(t, s)
	if _, later := got["after the backup"]; len(got) != 100 || later {
		t.Errorf("the backup has %d alarms (one of later: %t), want its 100", len(got), later)
	}
	for name, l := range got {
		if l.Kept.Window != nil {
			t.Fatalf("%s has a window of the other store", name)
		}
	}
	for name := range left {
		if old, err := filepath.Glob(strings.Replace(name, path, path+".old-*Z", 1)); err != nil || len(old) == 0 {
			t.Errorf("%s was not set aside, but lost", name)
		}
	}
}

// A store whose file was taken away leaves no log to be played into the next.
func TestStoreIsGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := opened(t, path)
	populate(t, s, 10)
	log := read(t, path+"-wal")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	overwrite(t, path+"-wal", log)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), path, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := loadAll(t, s); len(got) != 0 {
		t.Errorf("the new store has %d alarms of the one that is gone", len(got))
	}
	if old, err := filepath.Glob(path + ".old-*"); err != nil || len(old) != 2 {
		t.Errorf("set aside are %v, %v, want the log and the windows", old, err)
	}
}

func TestBackupIsWholeOrNotThere(t *testing.T) {
	s := fresh(t)
	populate(t, s, 1000)
	dir := t.TempDir()
	file := filepath.Join(dir, "backup")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Backup(ctx, file); err == nil {
		t.Error("a backup was made after its context ended")
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("a backup that was not made left %v, %v", files, err)
	}
	if err := s.Backup(t.Context(), filepath.Join(dir, "none", "backup")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Backup into no directory = %v, want %v", err, fs.ErrNotExist)
	}
	for range 2 {
		if err := s.Backup(t.Context(), file); err != nil {
			t.Fatal(err)
		}
	}
	if got := loadAll(t, opened(t, file)); len(got) != 1000 {
		t.Errorf("the backup has %d alarms, want 1000", len(got))
	}
}

// The name of another file, or of the store itself, is a mistake of the
// operator: the server goes on writing to a store that has lost its name.
func TestBackupReplacesBackupsAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.db")
	s := opened(t, path)
	populate(t, s, 10)
	other := filepath.Join(dir, "cfn-watch.conf")
	link := filepath.Join(dir, "link")
	overwrite(t, other, []byte("[server]\nlisten = 127.0.0.1:8003\n"))
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{path, path + "-wal", path + "-shm", path + windowSuffix, other, link, dir} {
		before, _ := os.Stat(file)
		if err := s.Backup(t.Context(), file); err == nil {
			t.Errorf("a backup took the place of %s", filepath.Base(file))
		}
		if after, err := os.Stat(file); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s is another file now, %v", filepath.Base(file), err)
		}
	}
	empty := filepath.Join(dir, "empty")
	overwrite(t, empty, nil)
	if err := s.Backup(t.Context(), empty); err != nil {
		t.Errorf("into an empty file: %v", err)
	}
}

// second is a migration that may come after ours.
func second(t *testing.T, body string) fs.FS {
	t.Helper()
	names, err := fs.Glob(ours(), "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	all := fstest.MapFS{"99999_second.sql": {Data: []byte("-- +goose Up\n" + body)}}
	for _, name := range names {
		data, err := fs.ReadFile(ours(), name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = &fstest.MapFile{Data: data}
	}
	return all
}

func TestMigrationKeepsACopy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := opened(t, path)
	populate(t, s, 10)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	if _, err := Open(t.Context(), path, Options{Log: quiet, schema: second(t, "DELETE FROM state; DELETE FROM nothing;")}); err == nil {
		t.Fatal("a migration that fails was passed over")
	}
	if got := loadAll(t, opened(t, path)); len(got) != 10 {
		t.Errorf("after a migration that failed there are %d alarms, want 10", len(got))
	}
}

func TestNewerStoreIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	populate(t, s, 10)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	s, err = Open(t.Context(), path, Options{Log: quiet, schema: second(t, "DELETE FROM state;")})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	migrated := read(t, path)
	var newer *NewerError
	if _, err = Open(t.Context(), path, Options{}); !errors.As(err, &newer) || newer.Version != 99999 || newer.Max != newest(t) {
		t.Errorf("Open of a newer store = %v, want a NewerError of %d", err, 99999)
	}
	if !bytes.Equal(read(t, path), migrated) {
		t.Error("the newer store was changed")
	}
	// The copy of before the migration, as the error says.
	copied := fmt.Sprintf("%s.v%d", path, newest(t))
	if !strings.Contains(newer.Error(), copied) {
		t.Errorf("the error is %v, want it to name %s", newer, copied)
	}
	overwrite(t, path, read(t, copied))
	s, err = Open(t.Context(), path, Options{Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := loadAll(t, s); len(got) != 10 {
		t.Errorf("the copy has %d alarms, want 10", len(got))
	}
}

func newest(t *testing.T) int64 {
	t.Helper()
	p, err := newProvider(&sql.DB{}, ours())
	if err != nil {
		t.Fatal(err)
	}
	sources := p.ListSources()
	return sources[len(sources)-1].Version
}

// Stores of every version of the schema, filled by testdata/v<version>.sql,
// are led to the newest and read as they were meant.
func TestUpgrade(t *testing.T) {
	for version := int64(1); version <= newest(t); version++ {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			db, err := writable(path, "FULL")
			if err != nil {
				t.Fatal(err)
			}
			p, err := newProvider(db, ours())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.UpTo(t.Context(), version); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec(string(read(t, fmt.Sprintf("testdata/v%d.sql", version)))); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			s := opened(t, path)
			checkUpgraded(t, s)
		})
	}
}

// checkUpgraded compares with what the files in testdata hold.
func checkUpgraded(t *testing.T, s *Store) {
	t.Helper()
	f := func(what string, got any, err error, want any) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v,\nwant %+v", what, got, err, want)
		}
	}
	a := alarmNamed("web-Heartbeat")
	a.ID, a.Dimensions, a.Tags = 7, []watch.Dimension{{Name: "InstanceId", Value: "i-1"}}, map[string]string{"owner": "ops"}
	k := watch.Kept{AlarmID: 7, State: watch.Firing, Number: 3, Since: now, Reason: "Nothing arrived for 2m15s.", Data: []byte(`{"version":"1.0"}`)}
	f("alarms", loadAll(t, s), nil, map[string]loaded{a.Name: {a, k}})
	events, _, err := s.Events(t.Context(), watch.EventQuery{})
	f("events", events, err, []watch.Event{{ID: 9, At: now, Kind: watch.Gate, Project: "p1", Alarm: a.Name, Target: "srv-1", Key: "k1", Summary: "held by g3", Data: []byte(`{"gate":"g3"}`)}})
	keys, err := s.Keys(t.Context())
	f("keys", keys, err, []Key{{Access: "AK1", Secret: "s3cret", Project: "p1", Stack: "web", Role: watch.Guest, Created: now}})
	fed, err := s.LoadFed(t.Context())
	f("fed", fed, err, map[string][]int64{"AK1": {7}})
	suspensions, err := s.Suspensions(t.Context(), now)
	f("suspensions", suspensions, err, []outbox.Suspension{{ID: 2, Scope: outbox.OfStack, Project: "p1", Name: "web", Owner: "uid 0", Reason: "update", Since: now}})
	w := watch.Wanted{Transition: watch.Transition{AlarmID: 7, Project: "p1", Alarm: a.Name, Revision: 1, Number: 3, From: watch.OK, To: watch.Firing, At: now, Reason: k.Reason, Data: k.Data},
		Index: 0, Action: "cfnwatch:restart:self", Origin: watch.FromRules, Stack: "web", Target: "srv-1", Span: a.Period}
	r := outbox.RowOf(w, now)
	r.ID, r.Data = 1, k.Data // rows had it then
	r.Status, r.Gate, r.Why, r.Since, r.Steps = outbox.Held, "g3", "12 of 40 overdue", now, []outbox.Step{{At: now, Status: outbox.Held, Text: "storm"}}
	rows, err := s.Rows(t.Context(), outbox.RowQuery{})
	f("rows", rows, err, []outbox.Row{r})
}

// What keeps a store from being made is an error, and once was a panic.
func TestStoreThatCannotBeMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if err := os.MkdirAll(path+".new/full", 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), path, Options{})
	if err == nil || !strings.HasPrefix(err.Error(), "make the store "+path+": ") {
		t.Errorf("Open = %v", err)
	}
	if err := os.RemoveAll(path + ".new"); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatalf("the lock was kept: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
