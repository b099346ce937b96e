// Stands in for mongosh: writes each call as a line of JSON. For mongo_test.go.
const call = (what, ...args) => console.log(JSON.stringify([what, ...args]));
globalThis.MinKey = () => "MinKey";
globalThis.passwordPrompt = () => "prompted";
globalThis.sh = new Proxy({}, { get: (_, name) => (...args) => call("sh." + name, ...args) });
const database = (name) => ({
  getSiblingDB: database,
  adminCommand: (c) => call(name + ".adminCommand", c),
  runCommand: (c) => call(name + ".runCommand", c),
  getUser: () => null,
  createUser: (u) => call(name + ".createUser", u),
  shards: { findOne: () => null },
  settings: { updateOne: (...args) => call(name + ".settings.updateOne", ...args) },
});
globalThis.db = database("test");
