package bulk

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/rest"
)

// manifest is the answer for a finished export. Source: Bulk Data Access 2.0,
// export.html#response---complete-status.
type manifest struct {
	TransactionTime     string   `json:"transactionTime"`
	Request             string   `json:"request"`
	RequiresAccessToken bool     `json:"requiresAccessToken"`
	Output              []output `json:"output"`
	Error               []output `json:"error"`
}

type output struct {
	Type  fhir.Type `json:"type"`
	URL   string    `json:"url"`
	Count int       `json:"count"`
}

// mine gives the job of the URL; what is not the sender's is not there.
func (s *Service) mine(c *gin.Context) (*job, error) {
	who, err := s.cfg.Access.Admit(c, "$export")
	if err != nil {
		return nil, err
	}
	j, err := s.exports.jobs.get(c.Request.Context(), c.Param("job"))
	switch {
	case err != nil:
		return nil, err
	case j == nil || j.Owner != who.Owner || j.State != waiting && s.cfg.Now().After(j.Expires):
		return nil, fhir.Errorf(fhir.NotFound, "no such export")
	}
	return j, nil
}

// status: GET /[job].
func (s *Service) status(c *gin.Context) {
	j, err := s.mine(c)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	c.Header("Cache-Control", "no-store")
	switch j.State {
	case done:
		c.Header("Expires", j.Expires.Format(http.TimeFormat))
		c.JSON(http.StatusOK, s.manifest(j))
	case failed:
		c.Data(j.Status, "application/fhir+json; charset=utf-8", j.Fault)
	default:
		c.Header("X-Progress", j.progress())
		c.Header("Retry-After", "2")
		c.Status(http.StatusAccepted)
		c.Writer.WriteHeaderNow()
	}
}

// progress is for a person; at most 100 characters.
func (j *job) progress() string {
	if j.T == 0 {
		return "waiting"
	}
	n := 0
	for _, f := range j.Files {
		n += f.Count
	}
	return strconv.Itoa(n) + " resources, " + strconv.Itoa(j.Type) + " of " + strconv.Itoa(len(j.Types)) + " types"
}

func (s *Service) manifest(j *job) *manifest {
	m := &manifest{
		TransactionTime: j.At.Format(fhir.InstantLayout), Request: j.Request, RequiresAccessToken: true,
		Output: []output{}, Error: []output{},
	}
	for _, f := range j.Files {
		m.Output = append(m.Output, output{f.Type, s.cfg.URL + "/" + j.ID + "/" + f.Name, f.Count})
	}
	return m
}

// cancel: DELETE /[job].
func (s *Service) cancel(c *gin.Context) {
	j, err := s.mine(c)
	if err == nil {
		ctx, stop := context.WithTimeout(c.Request.Context(), time.Minute)
		defer stop()
		err = s.exports.cancel(ctx, j.ID)
	}
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	c.Status(http.StatusAccepted)
	c.Writer.WriteHeaderNow()
}

// slowest is the rate, in bytes a second, below which a download is cut off.
const slowest = 64 << 10

// download: GET /[job]/[file]. What the file discloses was recorded page by
// page before it was written.
func (s *Service) download(c *gin.Context) {
	j, err := s.mine(c)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	i := slices.IndexFunc(j.Files, func(f file) bool { return f.Name == c.Param("file") })
	if j.State != done || i < 0 {
		rest.WriteError(c, fhir.Errorf(fhir.NotFound, "no such file"))
		return
	}
	if j.Node != s.cfg.Node {
		rest.WriteError(c, fhir.Errorf(fhir.Busy, "the file is on the node whose name begins the export's id: ask there"))
		return
	}
	f, err := os.Open(filepath.Join(s.exports.dir(j.ID), j.Files[i].Name))
	if err != nil {
		rest.WriteError(c, fhir.Errorf(fhir.NotFound, "no such file"))
		return
	}
	defer f.Close()
	allowed := time.Minute + time.Duration(j.Files[i].Bytes/slowest)*time.Second
	_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Now().Add(allowed)) // a server without deadlines needs none
	c.Header("Content-Type", "application/fhir+ndjson")
	c.Header("Cache-Control", "no-store")
	http.ServeContent(c.Writer, c.Request, "", j.At, f)
}
