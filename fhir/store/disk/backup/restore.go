package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/klauspost/compress/zstd"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/fhir/store/disk/keyspace"
)

// Target is the moment to restore: a T, a time, or (both zero) the end of the
// archive.
type Target struct {
	T  fhir.T
	At time.Time
}

// admits reports whether a commit is wanted.
func (t Target) admits(c *Commit) bool {
	return (t.T == 0 || c.T <= t.T) && (t.At.IsZero() || !c.at().After(t.At))
}

// Restore says where a store comes from and goes to.
type Restore struct {
	From   string // folder of an archive, or of one copy
	To     string // must not exist
	Target Target
	// Open opens the engine on a copy, with an extractor that fits it.
	Open func(ctx context.Context, dir string, o disk.Options) (*disk.Store, error)
	// Progress hears what is done. It may be nil.
	Progress func(format string, args ...any)
}

// Restored says what was restored.
type Restored struct {
	Base    string    `json:"base"`    // the copy it began with
	T       fhir.T    `json:"t"`       // newest commit
	At      time.Time `json:"at"`      // when it was made
	Commits int       `json:"commits"` // from the archive
	Spaces  int       `json:"spaces"`  // writes of spaces from the archive
	// Torn names the place where the archive ends in the middle of a frame, as
	// a crash of the exchange leaves it: that frame's commits are missing.
	Torn string `json:"torn,omitempty"`
}

// Run verifies every sum that the target rests on, then rebuilds the store.
// Nothing is written before all is verified; a store that could not be
// finished is removed.
func (r *Restore) Run(ctx context.Context) (out Restored, err error) {
	if r.Progress == nil {
		r.Progress = func(string, ...any) {}
	}
	if _, err := os.Stat(r.To); !errors.Is(err, os.ErrNotExist) {
		return out, fmt.Errorf("restore: %s exists already", r.To)
	}
	base, m, err := r.base()
	if err != nil {
		return out, err
	}
	r.Progress("verifying %s: %d files", filepath.Base(base), len(m.Files))
	if err := m.verifyFiles(ctx, base); err != nil {
		return out, err
	}
	files, err := segments(filepath.Dir(base), m.Epoch)
	if m.Epoch == "" || err != nil {
		files = nil
	}
	out = Restored{Base: filepath.Base(base), T: m.T, At: m.At}
	p := &player{ctx: ctx, target: r.Target, t: m.T, seq: m.Seq}
	if out.Torn, err = p.play(files, nil); err != nil {
		return out, err
	}
	if r.Target.T > p.t {
		return out, fmt.Errorf("restore: the archive ends at commit %d, before %d", p.t, r.Target.T)
	}
	r.Progress("verified %d segments: %d commits and %d writes of spaces after the copy", len(files), p.commits, p.entries)
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(r.To))
		}
	}()
	if err := copyStore(ctx, base, r.To, m.Files); err != nil {
		return out, err
	}
	if p, err = r.rebuild(ctx, files, m); err != nil {
		return out, err
	}
	out.T, out.Commits, out.Spaces = p.t, p.commits, p.entries
	if !p.at.IsZero() {
		out.At = p.at
	}
	return out, syncAll(r.To)
}

// base finds the newest copy that is not newer than the target.
func (r *Restore) base() (dir string, m Manifest, err error) {
	all := []string{r.From}
	if _, serr := os.Stat(filepath.Join(r.From, manifestName)); serr != nil {
		if all, err = bases(r.From); err != nil {
			return "", m, err
		}
	}
	for _, dir := range slices.Backward(all) {
		if m, err = readManifest(dir); err != nil {
			return "", m, err
		}
		if (r.Target.T == 0 || m.T <= r.Target.T) && (r.Target.At.IsZero() || !m.Created.After(r.Target.At)) {
			return dir, m, nil
		}
	}
	return "", m, fmt.Errorf("restore: %s holds no copy that is as old as the moment asked for", r.From)
}

// rebuild plays the archive into the copied store.
func (r *Restore) rebuild(ctx context.Context, files []string, m Manifest) (*player, error) {
	s, err := r.Open(ctx, r.To, disk.Options{VFS: unsynced{vfs.Default}})
	if err != nil {
		return nil, err
	}
	p := &player{ctx: ctx, target: r.Target, t: m.T, seq: m.Seq, progress: r.Progress}
	_, err = p.play(files, s)
	if err == nil {
		// What follows is another history than the one that the archive holds.
		err = s.Spaces().StopJournal(ctx)
	}
	return p, errors.Join(err, s.Close())
}

// player goes through the archive from a copy's position to the target.
type player struct {
	ctx      context.Context
	target   Target
	t        fhir.T
	seq      uint64
	at       time.Time
	held     []keyspace.Entry // wait for the commits that they rest on
	ended    bool             // the target is reached
	commits  int
	entries  int
	progress func(string, ...any)
}

// play verifies the segments and, if s is given, makes their commits and
// writes. It tells where the archive is torn, if it is.
func (p *player) play(files []string, s *disk.Store) (torn string, err error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return "", err
	}
	defer dec.Close()
	in := reader{files: files, dec: dec}
	err = in.each(func(b *Batch, file string, end int64) (bool, error) {
		if err := p.ctx.Err(); err != nil {
			return false, err
		}
		if err := p.batch(b, s); err != nil {
			return false, fmt.Errorf("%s, frame ending at byte %d: %w", filepath.Base(file), end, err)
		}
		return !p.ended, nil
	})
	if in.torn != nil {
		torn = in.torn.Error()
	}
	return torn, err
}

func (p *player) batch(b *Batch, s *disk.Store) error {
	for i := range b.Commits {
		c := &b.Commits[i]
		if c.T <= p.t || p.ended {
			continue // the copy holds it
		}
		if c.T != p.t+1 {
			return fmt.Errorf("commit %d follows %d: what lies between is missing", c.T, p.t)
		}
		if !p.target.admits(c) {
			p.ended = true
			break
		}
		if err := commit(p.ctx, s, c); err != nil {
			return err
		}
		p.t, p.at = c.T, c.at()
		p.commits++
		if p.progress != nil && p.commits%10_000 == 0 {
			p.progress("%d commits", p.commits)
		}
	}
	return p.spaces(b.Spaces, s)
}

// spaces makes the writes that rest on commits that are there; they are a
// beginning of the journal.
func (p *player) spaces(entries []keyspace.Entry, s *disk.Store) error {
	p.held = append(p.held, entries...)
	n := 0
	for ; n < len(p.held); n++ {
		e := &p.held[n]
		if e.Seq <= p.seq {
			continue
		}
		if e.Seq != p.seq+1 {
			return fmt.Errorf("entry %d of the spaces follows %d: what lies between is missing", e.Seq, p.seq)
		}
		if e.T > p.t || !p.target.At.IsZero() && e.At.After(p.target.At) {
			break
		}
		if s != nil {
			if err := s.Spaces().Replay(p.ctx, p.held[n:n+1]); err != nil {
				return err
			}
		}
		p.seq = e.Seq
		p.entries++
	}
	p.held = slices.Clone(p.held[n:])
	return nil
}

// commit makes an archived commit again and proves that it became the same.
func commit(ctx context.Context, s *disk.Store, c *Commit) error {
	if s == nil {
		return nil
	}
	tx := store.Tx{Now: c.at()}
	for i := range c.Versions {
		v := &c.Versions[i]
		op := store.Op{Key: v.Key, Method: v.Method, Facts: v.Facts, Body: fhir.Body{Raw: v.Body, MetaAt: v.MetaAt}}
		op.Expect = store.Expect{Kind: store.ExpectVersion, VersionID: v.VersionID - 1}
		if v.Method != fhir.Deleted {
			var err error
			if op.Entries, _, err = s.Extract(op.Body, op.Key); err != nil {
				return fmt.Errorf("%s: %w", v.Key, err)
			}
		}
		tx.Ops = append(tx.Ops, op)
	}
	made, err := s.Commit(ctx, tx)
	if err != nil {
		return fmt.Errorf("commit %d: %w", c.T, err)
	}
	for i, v := range made.Versions {
		want := &c.Versions[i]
		if v.T != c.T || v.VersionID != want.VersionID || !v.LastUpdated.Equal(want.LastUpdated) {
			return fmt.Errorf("commit %d does not fit the copy: %s became version %d of commit %d", c.T, v.Key, v.VersionID, v.T)
		}
	}
	return nil
}

// copyStore copies the files of a base and holds them against their sums once
// more.
func copyStore(ctx context.Context, from, to string, files []File) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if filepath.Base(f.Name) != f.Name {
			return &DamageError{manifestName, 0, "a name of a file leads elsewhere"}
		}
		got, err := copyFile(filepath.Join(from, f.Name), filepath.Join(to, f.Name), linkable{})
		if err == nil && got != f {
			err = &DamageError{f.Name, 0, "the file does not fit its sum"}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// syncAll makes every file of a restored store durable.
func syncAll(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := syncDir(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return errors.Join(syncDir(dir), syncDir(filepath.Dir(dir)))
}

// unsynced is a file system whose writes are not waited for: a restore that a
// power failure ends is begun again, and syncAll ends one that succeeds.
type unsynced struct{ vfs.FS }

type unsyncedFile struct{ vfs.File }

func (u unsynced) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := u.FS.Create(name, c)
	return unsyncedFile{f}, err
}

func (u unsynced) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := u.FS.ReuseForWrite(from, to, c)
	return unsyncedFile{f}, err
}

// Unwrap gives the wrapped file system, as vfs asks.
func (u unsynced) Unwrap() vfs.FS { return u.FS }

func (unsyncedFile) Sync() error                { return nil }
func (unsyncedFile) SyncData() error            { return nil }
func (unsyncedFile) SyncTo(int64) (bool, error) { return false, nil }
