package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"hutong/fhir/store/mongo/mongotest"
	"hutong/profiles"
)

// TestServeOnMongoDB is an exchange that keeps resources, index, accounts and
// audit in a MongoDB database, over the wire: a bundle of a hospital with two
// records of one person is loaded, linked and searched; a restart finds it all
// again.
func TestServeOnMongoDB(t *testing.T) {
	server, err := mongotest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	s := &stage{t: t, dir: t.TempDir(), store: server.Database(), open: true, tokens: map[string]string{}}
	s.demo = demoCmd{Dir: s.dir, Listen: freeAddress(t)}
	s.start()
	t.Cleanup(func() { s.stop() })
	person := func(id, more string) string {
		return fmt.Sprintf(`{"resource":{"resourceType":"Patient","id":%q,"identifier":[{"system":%q,"value":"110105198003071234"}],
			"name":[{"text":"李小明","family":"李","given":["小明"]}],"gender":"male","birthDate":"1980-03-07","telecom":[{"system":"phone","value":"13800138000"}]%s},
			"request":{"method":"PUT","url":"Patient/%s"}}`, id, profiles.CitizenID, more, id)
	}
	result := func(id, patient string) string {
		return fmt.Sprintf(`{"resource":{"resourceType":"Observation","id":%q,"status":"final","subject":{"reference":"Patient/%s"},
			"code":{"coding":[{"system":"http://loinc.org","code":"2345-7"}]},"effectiveDateTime":"2024-03-0%s","valueQuantity":{"value":5.40,"unit":"mmol/L"}},
			"request":{"method":"PUT","url":"Observation/%s"}}`, id, patient, id[1:], id)
	}
	s.do("", "POST", "/fhir", []byte(`{"resourceType":"Bundle","type":"transaction","entry":[`+
		strings.Join([]string{person("a", `,"link":[{"other":{"reference":"Patient/b"},"type":"replaces"}]`), person("b", ""), result("o1", "a"), result("o2", "b")}, ",")+`]}`)).is(http.StatusOK)
	linked := func() int {
		found := s.lookUp("", profiles.CitizenID, "110105198003071234")
		if len(found.Entry) == 0 {
			return 0
		}
		return len(decodeResource(t, found.Entry[0].Resource).Link)
	}
	for end := time.Now().Add(30 * time.Second); linked() != 2 && time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond) // the index links from the event what it did not before the answer
	}
	for range 2 {
		if n := linked(); n != 2 {
			t.Errorf("the person has %d records, want 2", n)
		}
		found, n := s.all("", "/fhir/Observation?subject:Patient.identifier="+profiles.CitizenID+"%7C110105198003071234&code=2345-7&_sort=date")
		if n != 2 || len(found) != 2 || !strings.Contains(string(found[0]), `"o1"`) || !strings.Contains(string(found[0]), "5.40") {
			t.Errorf("the history of both records holds %d: %s", n, found)
		}
		one := s.do("", "GET", "/fhir/Patient/b", nil).is(http.StatusOK)
		if r := decodeResource(t, one.body); r.ID != "b" || !json.Valid(one.body) {
			t.Errorf("Patient/b reads %s", one.body)
		}
		s.stop()
		s.start()
	}
}
