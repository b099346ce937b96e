// Package mongo is the distributed storage engine: any number of stateless
// nodes on one MongoDB database. It keeps hutong/fhir/store's contract with
// single-document writes alone, so that it holds on a sharded cluster and on
// servers without multi-document transactions. See DESIGN.md.
package mongo

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/fhir/store/mongo/keyspace"
	"hutong/fhir/store/mongo/layout"
	"hutong/fhir/store/mongo/wire"
)

// Format is the version of the document layout that this engine writes.
const Format = 1

// DefaultDatabase is used where the URI names none.
const DefaultDatabase = "hutong"

// Options of Open. Extract is required by everything but Space; zero values of
// the others take the defaults given.
type Options struct {
	// Extract gives the index entries and facts of a stored body, as Op carried
	// them when it was written. Candidates of a search are verified with it.
	Extract func(fhir.Body, fhir.Key) ([]search.Entry, fhir.Facts, error)
	// Zone names the zone of dates that carry none; a database made with
	// another is refused, because its index depends on it. "" is not checked.
	Zone string

	Timeout     time.Duration    // of one operation of the database; 10 s
	Commit      time.Duration    // of a group of commits, retries included; 30 s
	Help        time.Duration    // how long another node's commit may take to become visible before this one helps; 250 ms
	Poll        time.Duration    // between looks for other nodes' commits while somebody waits; 200 ms
	Abandon     time.Duration    // after which what a dead node left half-written is aborted; 2 min
	Queue       int              // transactions waiting to commit before Busy; 256
	Group       int              // ops that are committed together; 2000
	InlineOps   int              // ops in one commit record; of more, they stand in chunks beside it; 10,000
	Searches    int              // searches that run at once, the rest wait; 16 a processor
	MaxExamined int64            // documents that one search may look at before TooCostly; 1 million
	MaxJoin     int              // matches of a chain or _has that are listed; of more, each candidate is asked; 2000
	Batch       int32            // documents a round trip of a search; 500
	Pool        uint64           // connections to each server; 100
	Now         func() time.Time // time.Now
	Log         zerolog.Logger
	// Fail is called between the steps of a commit; an error ends the commit
	// there, as the death of the node would. For tests.
	Fail func(Step) error
}

func (o *Options) fill() {
	def(&o.Timeout, 10*time.Second)
	def(&o.Commit, 30*time.Second)
	def(&o.Help, 250*time.Millisecond)
	def(&o.Poll, 200*time.Millisecond)
	def(&o.Abandon, 2*time.Minute)
	def(&o.Queue, 256)
	def(&o.Group, 2000)
	def(&o.InlineOps, 10_000)
	def(&o.Searches, 16*runtime.GOMAXPROCS(0))
	def(&o.MaxExamined, 1_000_000)
	def(&o.MaxJoin, 2000)
	def(&o.Batch, 500)
	def(&o.Pool, 100)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Fail == nil {
		o.Fail = func(Step) error { return nil }
	}
	if o.Extract == nil {
		o.Extract = func(fhir.Body, fhir.Key) ([]search.Entry, fhir.Facts, error) {
			return nil, fhir.Facts{}, errors.New("mongo: opened without an extractor")
		}
	}
}

func def[N int | int32 | int64 | uint64 | time.Duration](p *N, v N) {
	if *p == 0 {
		*p = v
	}
}

// Store is a node's engine. It implements store.Store.
type Store struct {
	opts   Options
	client *driver.Client
	server wire.Server
	codec  *layout.Codec

	current, versions, commits, chunks *driver.Collection

	open    sync.RWMutex // held for reading by every call; by Close for writing
	closed  bool
	closing context.Context // ends when Close begins
	stop    context.CancelFunc
	wg      sync.WaitGroup // committer and sweeper

	log    commitLog
	queue  chan *pending
	slots  chan struct{}
	spaces keyspace.Set
}

var _ store.Store = (*Store)(nil)

// Open connects to the deployment that uri names (mongodb:// or mongodb+srv://,
// with the database as its path) and opens or creates the store in it. Other
// nodes may have it open. The caller closes it. Errors never hold the URI,
// which may carry credentials.
func Open(ctx context.Context, uri string, o Options) (*Store, error) {
	o.fill()
	cs, err := connstring.ParseAndValidate(uri)
	if err != nil {
		return nil, errors.New("mongo: the URI of the store is not valid")
	}
	if cs.Database == "" {
		cs.Database = DefaultDatabase
	}
	client, err := driver.Connect(clientOptions(uri, &o))
	if err != nil {
		return nil, fmt.Errorf("mongo: connect: %w", wire.Safe(err))
	}
	s := &Store{opts: o, client: client}
	s.bind(client.Database(cs.Database))
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("mongo: open database %s: %w", cs.Database, err), client.Disconnect(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// clientOptions fixes what the engine's correctness rests on, whatever the URI
// says: majority writes, majority reads from the primary, retryable writes.
func clientOptions(uri string, o *Options) *options.ClientOptions {
	return options.Client().ApplyURI(uri).
		SetAppName("hutong").
		SetTimeout(o.Timeout).
		SetServerSelectionTimeout(o.Timeout / 2).
		SetConnectTimeout(o.Timeout / 2).
		SetMaxPoolSize(o.Pool).
		SetRetryReads(true).
		SetRetryWrites(true).
		SetReadPreference(readpref.Primary()).
		SetReadConcern(readconcern.Majority()).
		SetWriteConcern(writeconcern.Majority())
}

// bind names the collections.
func (s *Store) bind(db *driver.Database) {
	s.current, s.versions = db.Collection(Current), db.Collection(Versions)
	s.commits, s.chunks = db.Collection(Commits), db.Collection(Chunks)
	s.spaces = keyspace.Set{
		Values: db.Collection(SpaceValues), Log: db.Collection(SpaceLog), Chunks: s.chunks,
		Timeout: s.opts.Timeout, Commit: s.opts.Commit, Help: s.opts.Help, Enter: s.enter,
		Fail: func() error { return s.opts.Fail(SpaceCommitted) },
	}
}

// begin probes the server, checks the format, finds the end of the log and
// starts the goroutines.
func (s *Store) begin(ctx context.Context) error {
	var err error
	if s.codec, err = layout.NewCodec(); err != nil {
		return err
	}
	db := s.current.Database()
	if s.server, err = wire.Probe(ctx, db.Collection(Meta)); err != nil {
		return wire.Failure(ctx, err)
	}
	if err := s.checkFormat(ctx, db.Collection(Meta)); err != nil {
		return err
	}
	if err := createIndexes(ctx, db, s.server); err != nil {
		return wire.Failure(ctx, err)
	}
	s.log.init()
	if err := s.findHead(ctx); err != nil {
		return err
	}
	s.slots = make(chan struct{}, s.opts.Searches)
	s.queue = make(chan *pending, s.opts.Queue)
	s.closing, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.wg.Add(2)
	go s.commitLoop()
	go s.sweepLoop()
	return nil
}

// checkFormat writes the format and the zone into a new store and refuses what
// another release or zone made. Two nodes may do it at once.
func (s *Store) checkFormat(ctx context.Context, meta *driver.Collection) error {
	type document struct {
		ID     string `bson:"_id"`
		Format int32  `bson:"format"`
		Zone   string `bson:"zone"`
	}
	_, err := meta.InsertOne(ctx, document{ID: "store", Format: Format, Zone: s.opts.Zone})
	if err != nil && !driver.IsDuplicateKeyError(err) {
		return wire.Failure(ctx, err)
	}
	var d document
	if err := meta.FindOne(ctx, bson.D{{Key: "_id", Value: "store"}}).Decode(&d); err != nil {
		return wire.Failure(ctx, err)
	}
	if d.Format != Format {
		return fmt.Errorf("format %d; this engine reads format %d: use the release that wrote it", d.Format, Format)
	}
	if s.opts.Zone != "" && d.Zone != "" && d.Zone != s.opts.Zone {
		return fmt.Errorf("the database was made with a time zone of %s, not %s: its index depends on it", d.Zone, s.opts.Zone)
	}
	return nil
}

// Server tells what the deployment can do.
func (s *Store) Server() wire.Server { return s.server }

// Space opens a named key-value space.
func (s *Store) Space(name string) store.Space { return s.spaces.Space(name) }

// route gives the filter of one document by its _id; on a sharded cluster it
// also names the shard key, so that one shard is asked.
func (s *Store) route(id, home string) bson.D {
	f := bson.D{{Key: "_id", Value: id}}
	if s.server.Sharded && home != "" {
		f = append(f, bson.E{Key: "patient", Value: home})
	}
	return f
}

// timed bounds one operation of the database.
func (s *Store) timed(ctx context.Context) (context.Context, context.CancelFunc) {
	return wire.Timed(ctx, s.opts.Timeout)
}

// enter keeps the store open until the returned function is called.
func (s *Store) enter(ctx context.Context) (func(), error) {
	if err := wire.CtxError(ctx); err != nil {
		return nil, err
	}
	s.open.RLock()
	if s.closed {
		s.open.RUnlock()
		return nil, fhir.Errorf(fhir.Busy, "the store is closed")
	}
	return s.open.RUnlock, nil
}

// Close waits for running calls, commits what is queued, and disconnects.
func (s *Store) Close() error {
	s.stop() // those who wait for changes go
	s.open.Lock()
	if s.closed {
		s.open.Unlock()
		return nil
	}
	s.closed = true
	s.open.Unlock()
	close(s.queue)
	s.wg.Wait()
	s.codec.Close()
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.Timeout)
	defer cancel()
	return s.client.Disconnect(ctx)
}
