// Package mongo_test holds the script of this folder against the engine.
package mongo_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"gopkg.in/yaml.v3"

	"hutong/fhir/store/mongo"
)

// spec is an index or a shard key as the script writes it: key stays text, as
// the order of its fields matters.
type spec struct {
	Collection, Name string
	Key              json.RawMessage
}

// table reads `const NAME = /*json*/ ... /*json*/` of the script.
func table(t *testing.T, name string) (out []spec) {
	t.Helper()
	text, err := os.ReadFile("init.js")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "const "+name+" = /*json*/")
	body, _, ok2 := strings.Cut(rest, "/*json*/")
	if !ok || !ok2 {
		t.Fatalf("no table %s in the script", name)
	}
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// text is a key document as the script has to write it.
func text(t *testing.T, keys bson.D) string {
	t.Helper()
	var b bytes.Buffer
	b.WriteByte('{')
	for i, e := range keys {
		if i > 0 {
			b.WriteByte(',')
		}
		k, err := json.Marshal(e.Key)
		if err != nil {
			t.Fatal(err)
		}
		v, err := json.Marshal(e.Value)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(append(k, ':'), v...))
	}
	b.WriteByte('}')
	return b.String()
}

func compact(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func lines(t *testing.T, list []spec) (out []string) {
	t.Helper()
	for _, s := range list {
		out = append(out, s.Collection+" "+s.Name+" "+compact(t, s.Key))
	}
	slices.Sort(out)
	return out
}

func same(t *testing.T, what string, script, engine []string) {
	t.Helper()
	slices.Sort(engine)
	if !slices.Equal(script, engine) {
		t.Errorf("%s of the script\n%s\nof the engine\n%s", what, strings.Join(script, "\n"), strings.Join(engine, "\n"))
	}
}

func TestTheScriptHasTheEnginesIndexes(t *testing.T) {
	var engine []string
	for _, ix := range mongo.Indexes() {
		engine = append(engine, ix.Collection+" "+ix.Name+" "+text(t, ix.Keys))
	}
	same(t, "indexes", lines(t, table(t, "indexes")), engine)
}

func TestTheScriptHasTheEnginesShardKeys(t *testing.T) {
	var engine []string
	for _, s := range mongo.ShardKeys() {
		if len(s.Keys) > 0 {
			engine = append(engine, s.Collection+"  "+text(t, s.Keys))
		}
	}
	same(t, "shard keys", lines(t, table(t, "shardKeys")), engine)
}

// The script runs to its end, and in the order that it promises: shards, keys,
// zones, indexes, user.
func TestTheScriptRuns(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no Node on this machine")
	}
	out, err := exec.Command(node, "--require", "./stand-in.js", "init.js").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	first, count := map[string]int{}, map[string]int{}
	for i, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		var call []any
		if err := json.Unmarshal([]byte(line), &call); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		what := call[0].(string)
		if count[what]++; count[what] == 1 {
			first[what] = i
		}
		if what == "hutong.runCommand" && !strings.Contains(line, `"commitQuorum":"majority"`) {
			t.Errorf("an index that a majority need not have: %s", line)
		}
	}
	order := []string{"sh.addShard", "test.adminCommand", "sh.enableSharding", "sh.shardCollection", "sh.addShardToZone", "sh.updateZoneKeyRange", "hutong.runCommand", "hutong.createUser", "config.settings.updateOne"}
	for i, what := range order {
		if count[what] == 0 {
			t.Errorf("%s is never called", what)
		}
		if i > 0 && first[what] < first[order[i-1]] {
			t.Errorf("%s comes before %s", what, order[i-1])
		}
	}
	if count["sh.shardCollection"] != 4 || count["hutong.runCommand"] != len(mongo.Indexes()) || len(count) != len(order) {
		t.Errorf("%v", count)
	}
}

// The configurations demand TLS, passwords and no JavaScript.
func TestConfigurations(t *testing.T) {
	for name, auth := range map[string]bool{"mongod.conf": true, "mongos.conf": false} {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var c struct {
			Net struct {
				TLS struct{ Mode string } `yaml:"tls"`
			}
			Security struct {
				Authorization     string
				ClusterAuthMode   string `yaml:"clusterAuthMode"`
				JavascriptEnabled *bool  `yaml:"javascriptEnabled"`
			}
		}
		if err := yaml.Unmarshal(raw, &c); err != nil {
			t.Fatal(err)
		}
		s := c.Security
		if c.Net.TLS.Mode != "requireTLS" || s.ClusterAuthMode != "x509" || s.JavascriptEnabled == nil || *s.JavascriptEnabled || auth != (s.Authorization == "enabled") {
			t.Errorf("%s: %+v", name, c)
		}
	}
}
