// Prepares an empty sharded cluster for Hutong. Run it once, before the first
// node starts, against a mongos:
//
//   mongosh "mongodb://admin@mongos-0/?tls=true&tlsCAFile=ca.pem" deploy/mongo/init.js
//
// It may be run again: what is there already stays. The password of the
// exchange's user is asked for.
//
// deploy/mongo/mongo_test.go holds the two tables against the engine's own
// Indexes() and ShardKeys(), and runs the script against a recording stand-in
// where Node is installed.

const name = "hutong";

// Shards by replica set. addShard is refused for those that are there.
const shards = ["shard-a/shard-a-0:27017,shard-a-1:27017,shard-a-2:27017",
                "shard-b/shard-b-0:27017,shard-b-1:27017,shard-b-2:27017"];

// tables: strict JSON, compared with the engine.
const shardKeys = /*json*/ [
  {"collection": "current",  "key": {"patient": 1, "_id": 1}},
  {"collection": "versions", "key": {"patient": 1, "_id": 1}},
  {"collection": "chunks",   "key": {"_id": 1}},
  {"collection": "space",    "key": {"_id": 1}}
] /*json*/;

const indexes = /*json*/ [
  {"collection": "versions", "name": "resource",   "key": {"k": 1, "n": -1}},
  {"collection": "versions", "name": "log",        "key": {"t": 1, "i": 1}},
  {"collection": "versions", "name": "history",    "key": {"type": 1, "t": 1, "i": 1}},
  {"collection": "versions", "name": "superseded", "key": {"type": 1, "to": 1, "_id": 1}},
  {"collection": "chunks",   "name": "owner",      "key": {"g": 1, "j": 1}},
  {"collection": "current",  "name": "newest",     "key": {"type": 1, "ord": 1, "_id": 1}},
  {"collection": "current",  "name": "updated",    "key": {"type": 1, "at": 1, "_id": 1}},
  {"collection": "current",  "name": "patient",    "key": {"pt": 1, "type": 1, "ord": 1, "_id": 1}},
  {"collection": "current",  "name": "token",      "key": {"type": 1, "tok": 1, "ord": 1, "_id": 1}},
  {"collection": "current",  "name": "ranges",     "key": {"r.$**": 1}}
] /*json*/;

// Zones: a county's records on its own shard. The shard key begins with
// "Patient/ID", so a zone is a set of id prefixes: those that the hospitals of
// the county give their Patients. Ids without a known prefix (also those that
// the exchange gives) lie on any shard.
const zones = [
  { zone: "yunling", shard: "shard-a", prefixes: ["county-", "clinic-"] },
  { zone: "city",    shard: "shard-b", prefixes: ["muni-", "dist-"] }
];

function main() {
  for (const s of shards) {
    if (!db.getSiblingDB("config").shards.findOne({ _id: s.split("/")[0] })) sh.addShard(s);
  }
  // A write is answered when a majority has it; so is what is read.
  db.adminCommand({ setDefaultRWConcern: 1, defaultWriteConcern: { w: "majority", wtimeout: 10000 }, defaultReadConcern: { level: "majority" } });
  sh.enableSharding(name);
  // 1. Shard while the collections are empty: sharding a large one moves it.
  for (const s of shardKeys) sh.shardCollection(name + "." + s.collection, s.key);
  // 2. Zones before data, so that nothing is moved twice.
  for (const z of zones) {
    sh.addShardToZone(z.shard, z.zone);
    for (const p of z.prefixes) {
      for (const c of ["current", "versions"]) {
        sh.updateZoneKeyRange(name + "." + c, { patient: "Patient/" + p, _id: MinKey() }, { patient: "Patient/" + p + "\uffff", _id: MinKey() }, z.zone);
      }
    }
  }
  // 3. Indexes, those that commits need first and the largest last: on an empty
  // cluster the order does not matter, on a full one reads come back soonest.
  // A build ends on a majority of each shard before it is used.
  for (const ix of indexes) {
    db.getSiblingDB(name).runCommand({
      createIndexes: ix.collection, indexes: [{ key: ix.key, name: ix.name }], commitQuorum: "majority"
    });
  }
  // 4. The exchange's user: this database and nothing else.
  const own = db.getSiblingDB(name);
  if (!own.getUser("hutong")) {
    own.createUser({ user: "hutong", pwd: passwordPrompt(), roles: [{ role: "readWrite", db: name }], mechanisms: ["SCRAM-SHA-256"] });
  }
  // 5. Chunks move at night.
  db.getSiblingDB("config").settings.updateOne({ _id: "balancer" }, { $set: { activeWindow: { start: "01:00", stop: "05:00" } } }, { upsert: true });
}

main();
