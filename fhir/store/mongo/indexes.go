package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hutong/fhir/store/mongo/wire"
)

// The collections.
const (
	Current     = "current"   // the newest version of each resource, with its index
	Versions    = "versions"  // every version; the staging place of commits
	Commits     = "commits"   // the log: one record a group of commits; its insertion is the commit
	Chunks      = "chunks"    // ops of commits that are too many for one record
	SpaceValues = "space"     // the newest value of each key of the spaces
	SpaceLog    = "space_log" // the spaces' own log
	Meta        = "meta"      // format and zone
)

// Index is one index of a collection. Keys that are sorted descending have -1.
type Index struct {
	Collection string
	Name       string
	Keys       bson.D
	// Optional ones only make queries cheaper. They are made on replica sets and
	// sharded clusters: other servers may take an index of a kind that they do
	// not know, and then fail to write.
	Optional bool
}

// Indexes lists the indexes that the engine makes at Open, beside those on _id
// that every collection has. None is unique: on a sharded cluster only _id
// could be, and all uniqueness rests on it.
func Indexes() []Index {
	up := func(keys ...string) bson.D {
		d := bson.D{}
		for _, k := range keys {
			d = append(d, bson.E{Key: k, Value: 1})
		}
		return d
	}
	return []Index{
		{Collection: Current, Name: "token", Keys: up("type", "tok", "ord", "_id")},
		{Collection: Current, Name: "newest", Keys: up("type", "ord", "_id")},
		{Collection: Current, Name: "updated", Keys: up("type", "at", "_id")},
		{Collection: Current, Name: "patient", Keys: up("pt", "type", "ord", "_id")},
		{Collection: Current, Name: "ranges", Keys: up("r.$**"), Optional: true},
		{Collection: Versions, Name: "resource", Keys: bson.D{{Key: "k", Value: 1}, {Key: "n", Value: -1}}},
		{Collection: Versions, Name: "log", Keys: up("t", "i")},
		{Collection: Versions, Name: "history", Keys: up("type", "t", "i")},
		{Collection: Versions, Name: "superseded", Keys: up("type", "to", "_id")},
		{Collection: Chunks, Name: "owner", Keys: up("g", "j")},
	}
}

// ShardKey tells how a collection is spread over the shards; no keys leave it
// on the database's primary shard.
type ShardKey struct {
	Collection string
	Keys       bson.D
	Why        string
}

// ShardKeys lists the shard keys. "patient" is the resource's first patient as
// Patient/id, or its own key, and never changes for a document, so that one
// person's record of one hospital lies on one shard.
func ShardKeys() []ShardKey {
	byPatient := bson.D{{Key: "patient", Value: 1}, {Key: "_id", Value: 1}}
	byID := bson.D{{Key: "_id", Value: 1}}
	return []ShardKey{
		{Collection: Current, Keys: byPatient, Why: "a patient's record is read from one shard"},
		{Collection: Versions, Keys: byPatient, Why: "so are its versions; bodies are the bulk of the data"},
		{Collection: Commits, Why: "the order of commits is the order of its _id: small records, one shard"},
		{Collection: Chunks, Keys: byID, Why: "short-lived, only of very large transactions"},
		{Collection: SpaceValues, Keys: byID, Why: "read by key and by ranges of keys"},
		{Collection: SpaceLog, Why: "its insertions order the spaces' writes, as those of commits do"},
	}
}

func createIndexes(ctx context.Context, db *driver.Database, is wire.Server) error {
	for _, ix := range Indexes() {
		if ix.Optional && is.ReplicaSet == "" && !is.Sharded {
			continue
		}
		_, err := db.Collection(ix.Collection).Indexes().CreateOne(ctx, driver.IndexModel{
			Keys: ix.Keys, Options: options.Index().SetName(ix.Name),
		})
		if err != nil {
			return err
		}
	}
	return nil
}
