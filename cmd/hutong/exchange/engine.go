package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/fhir/store/disk/rebuild"
	"hutong/fhir/store/disk/revive"
	"hutong/fhir/store/mongo"
	"hutong/fhir/term"
	"hutong/fhir/term/ucum"
)

// openStore opens the engine that the settings name. With an error it gives
// nil, and not an interface that holds a nil engine: Close looks at it.
func openStore(ctx context.Context, cfg Settings, x *search.Extractor, log zerolog.Logger) (store.Store, error) {
	if cfg.distributed() {
		s, err := mongo.Open(ctx, cfg.Store, mongo.Options{Extract: x.ExtractBody, Log: log})
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	where, err := cfg.engineDir()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(where, 0o700); err != nil {
		return nil, err
	}
	s, err := revive.Open(where, cfg.engineOptions(x.ExtractBody, log))
	if err != nil {
		return nil, err
	}
	return s, nil
}

// engineDir is where the embedded engine keeps its files.
func (s *Settings) engineDir() (string, error) {
	kind, where, _ := strings.Cut(s.Store, ":")
	if kind != "disk" || where == "" {
		return "", fmt.Errorf("--store %s: give disk:DIR or mongodb://...", s.storeName())
	}
	return where, nil
}

// distributed reports whether the store is a MongoDB deployment.
func (s *Settings) distributed() bool {
	return strings.HasPrefix(s.Store, "mongodb://") || strings.HasPrefix(s.Store, "mongodb+srv://")
}

// storeName is Store without what may be secret in it: who logs in, and how.
func (s *Settings) storeName() string {
	scheme, rest, isURL := strings.Cut(s.Store, "://")
	if !isURL {
		return s.Store
	}
	rest, _, _ = strings.Cut(rest, "?")
	return scheme + "://" + rest[strings.LastIndexByte(rest, '@')+1:]
}

func (s *Settings) engineOptions(extract func(fhir.Body, fhir.Key) ([]search.Entry, fhir.Facts, error), log zerolog.Logger) disk.Options {
	return disk.Options{
		CacheBytes: int64(s.CacheMB) << 20, Log: log, Extract: extract, Parameters: rebuild.Fingerprints(definition.R4()),
	}
}

// indexed is what the values of an index depend on beside the resources; the
// data directory remembers it, so that tools need not be told.
type indexed struct{ Base, Timezone string }

const indexedKey = "indexed"

// note keeps how this exchange indexes.
func (i indexed) note(ctx context.Context, space store.Space) error {
	raw, err := json.Marshal(i)
	if err != nil {
		return err
	}
	return space.Apply(ctx, []store.Write{{Key: []byte(indexedKey), Value: raw}})
}

// EngineDir finds the embedded engine's files in a data directory, or takes
// dir for them.
func EngineDir(dir string) string {
	if inner := filepath.Join(dir, "store"); isDir(inner) {
		return inner
	}
	return dir
}

// Existing gives the files of an engine that is there. The tools that prove or
// copy ask for it, since an empty folder, of a disk that is not mounted or a
// path that was mistyped, would open as a whole store of nothing.
func Existing(dir string) (string, error) {
	dir = EngineDir(dir)
	ok, err := disk.Exists(dir)
	if err == nil && !ok {
		err = fmt.Errorf("%s holds no store", dir)
	}
	return dir, err
}

// Existing is an error unless the store that the settings name is there.
func (s *Settings) Existing() error {
	if s.distributed() {
		return nil
	}
	dir, err := s.engineDir()
	if err == nil {
		_, err = Existing(dir)
	}
	return err
}

func isDir(name string) bool {
	st, err := os.Stat(name)
	return err == nil && st.IsDir()
}

// OpenEngine opens the embedded engine of a stopped exchange for the tools
// that keep it; it indexes as the exchange did. The caller closes it. A
// directory that is not there is an error.
func OpenEngine(ctx context.Context, dir string, cfg Settings, log zerolog.Logger) (*disk.Store, error) {
	if !isDir(dir) {
		return nil, fmt.Errorf("%s is no directory", dir)
	}
	return OpenEngineWith(ctx, dir, cfg.engineOptions(nil, log))
}

// OpenEngineWith is OpenEngine with the engine's own options, whose Extract it
// sets.
func OpenEngineWith(ctx context.Context, dir string, o disk.Options) (*disk.Store, error) {
	x := newExtractor(indexed{Timezone: "Local"}, time.Local)
	known := make(chan struct{}) // opening extracts nothing; what runs behind it waits for the right extractor
	o.Extract = func(b fhir.Body, k fhir.Key) ([]search.Entry, fhir.Facts, error) {
		if <-known; x == nil {
			return nil, fhir.Facts{}, errors.New("how the store is indexed is not known")
		}
		return x.ExtractBody(b, k)
	}
	s, err := disk.Open(dir, o)
	if err != nil {
		return nil, err
	}
	raw, err := s.Space("server").Get(ctx, []byte(indexedKey))
	if err == nil && raw != nil {
		var how indexed
		var loc *time.Location
		if err = json.Unmarshal(raw, &how); err == nil {
			loc, err = time.LoadLocation(how.Timezone)
		}
		if err == nil {
			x = newExtractor(how, loc)
		}
	}
	if err != nil {
		x = nil
		close(known)
		return nil, fmt.Errorf("how %s is indexed: %w", dir, errors.Join(err, s.Close()))
	}
	close(known)
	return s, nil
}

func newExtractor(how indexed, loc *time.Location) *search.Extractor {
	return search.NewExtractor(definition.R4(), search.Options{
		Location: loc, Base: how.Base, Expander: term.New(term.Options{}), Units: &ucum.Units{},
	})
}
