package bulk_test

import (
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/rs/zerolog"

	"hutong/fhir/bulk"
)

// neighbour is another node on the same store, with files of its own; it gives
// the URL of its jobs.
func (w *world) neighbour(node string) string {
	w.t.Helper()
	router := gin.New()
	router.ContextWithFallback = true
	server := httptest.NewServer(router)
	w.t.Cleanup(server.Close)
	other, err := bulk.New(bulk.Config{
		Service: w.service, Space: w.space, Dir: filepath.Join(w.dir, "export-"+node), Node: node, Access: access{},
		URL: server.URL + "/api/bulk", Log: zerolog.Nop(),
	})
	w.must(err)
	other.Mount(router.Group("/api/bulk"))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); other.Run(ctx) }()
	w.t.Cleanup(func() { cancel(); <-ended })
	return server.URL + "/api/bulk"
}

// TestAnotherNodeLeavesJobsAlone: it tells of them, does not work on them, and
// can cancel them.
func TestAnotherNodeLeavesJobsAlone(t *testing.T) {
	t.Parallel()
	w := &world{t: t, dir: t.TempDir(), audit: &ledger{}, limits: bulk.Limits{Page: 5}, node: "n1"}
	w.open()
	t.Cleanup(func() { w.stop() })
	fill(w, 10)
	finished := w.kick("all", "/$export?_type=Patient")
	m := w.finished("all", finished)
	pass := w.gate()
	running := w.kick("all", "/$export?_type=Observation")
	pass <- struct{}{}
	elsewhere := w.neighbour("n2") // adopts and sweeps what it takes for its own
	id := func(job string) string { return job[strings.LastIndex(job, "/")+1:] }
	if !strings.HasPrefix(id(running), "n1-") {
		t.Errorf("the id %s does not name its node", id(running))
	}
	w.do("all", "GET", elsewhere+"/"+id(finished), "").must(200)
	file := m.Output[0].URL
	w.do("all", "GET", file, "").must(200)
	w.do("all", "GET", elsewhere+"/"+id(finished)+"/"+id(file), "").must(503)
	w.do("all", "GET", elsewhere+"/"+id(running), "").must(202)
	w.do("all", "DELETE", elsewhere+"/"+id(running), "").must(202)
	close(pass)
	w.do("all", "GET", running, "").must(404)
	w.until("the files of the cancelled job to go", func() bool {
		_, err := os.Stat(filepath.Join(w.dir, "export", id(running)))
		return os.IsNotExist(err)
	})
	w.do("all", "GET", file, "").must(200)
	w.do("all", "GET", running, "").must(404)
}
