package rest

import (
	"encoding/csv"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/rest"
	"hutong/mpi"
	"hutong/mpi/report"
)

// wantsCSV: by ?format=csv, or by Accept.
func wantsCSV(c *gin.Context) bool {
	return c.Query("format") == "csv" || c.Query("format") == "" && strings.HasPrefix(c.GetHeader("Accept"), "text/csv")
}

// maxRows bounds a report as CSV; a cut one says so in X-Truncated.
const maxRows = 100_000

// listing answers a report of one kind: JSON by pages, CSV whole. rows makes a
// CSV row of an item, patients what it discloses.
func listing[T any](h *Handlers, c *gin.Context, header []string, read func(organization, after string, limit int) ([]T, string, error), show func(T) any, row func(T) []string, patients func(T) []string) {
	if _, ok := h.allow(c, ActionQueue); !ok {
		return
	}
	limit, err := pageSize(c)
	if err == nil && c.Query("format") != "" && c.Query("format") != "json" && c.Query("format") != "csv" {
		err = fhir.Errorf(fhir.Invalid, "format is json or csv").At("format")
	}
	asCSV := wantsCSV(c)
	if asCSV {
		limit = maxRows
	}
	var items []T
	var next string
	if err == nil {
		items, next, err = read(c.Query("organization"), c.Query("after"), limit)
	}
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	var about []fhir.Key
	for _, item := range items {
		for _, id := range patients(item) {
			about = append(about, patientOf(id))
		}
	}
	if !asCSV {
		out := make([]any, 0, len(items))
		for _, item := range items {
			out = append(out, show(item))
		}
		page := gin.H{"items": out}
		if next != "" {
			page["next"] = next
		}
		h.answer(c, ActionQueue, about, page)
		return
	}
	var text strings.Builder
	w := csv.NewWriter(&text)
	_ = w.Write(header) // a Builder never fails
	for _, item := range items {
		_ = w.Write(row(item))
	}
	w.Flush()
	if next != "" {
		c.Header("X-Truncated", "true")
	}
	h.answerText(c, ActionQueue, about, "text/csv; charset=utf-8", text.String())
}

// answerText records the disclosure and then writes the text.
func (h *Handlers) answerText(c *gin.Context, action string, about []fhir.Key, contentType, text string) {
	if h.cfg.Disclosed != nil {
		if err := h.cfg.Disclosed(c, action, about); err != nil {
			rest.WriteError(c, err)
			return
		}
	}
	c.Header("Cache-Control", "no-store")
	c.Data(http.StatusOK, contentType, []byte(text))
}

type duplicatesJSON struct {
	Organization string   `json:"organization"`
	Person       string   `json:"person"`
	Patients     []string `json:"patients"`
	Since        string   `json:"since"`
}

func (h *Handlers) duplicates(c *gin.Context) {
	listing(h, c, []string{"organization", "person", "patients", "since"},
		func(org, after string, limit int) ([]report.Duplicates, string, error) {
			return h.cfg.Reports.Duplicates(c.Request.Context(), org, after, limit)
		},
		func(d report.Duplicates) any {
			return duplicatesJSON{d.Organization, patientOf(d.Person).String(), refsOf(d.Patients), stamp(d.Since)}
		},
		func(d report.Duplicates) []string {
			return []string{d.Organization, patientOf(d.Person).String(), strings.Join(refsOf(d.Patients), " "), stamp(d.Since)}
		},
		func(d report.Duplicates) []string { return d.Patients })
}

type overlayJSON struct {
	ID           string       `json:"id"`
	Organization string       `json:"organization"`
	Patient      string       `json:"patient"`
	Version      uint64       `json:"version"` // that was written over
	By           uint64       `json:"by"`      // that wrote
	At           string       `json:"at"`
	Before       string       `json:"before"`
	After        string       `json:"after"`
	Reasons      []mpi.Phrase `json:"reasons"`
}

func (h *Handlers) overlays(c *gin.Context) {
	listing(h, c, []string{"organization", "patient", "version", "overwritten_by", "at", "person_before", "person_after", "changed"},
		func(org, after string, limit int) ([]report.Overlay, string, error) {
			return h.cfg.Reports.Overlays(c.Request.Context(), org, after, limit)
		},
		func(o report.Overlay) any {
			return overlayJSON{
				o.ID, o.Organization, patientOf(o.Patient).String(), o.Version, o.By, stamp(o.At),
				patientOf(o.Before).String(), patientOf(o.After).String(), mpi.Phrases(o.Reasons),
			}
		},
		func(o report.Overlay) []string {
			var changed []string
			for _, r := range o.Reasons {
				changed = append(changed, string(r))
			}
			return []string{
				o.Organization, patientOf(o.Patient).String(), strconv.FormatUint(o.Version, 10), strconv.FormatUint(o.By, 10), stamp(o.At),
				patientOf(o.Before).String(), patientOf(o.After).String(), strings.Join(changed, " "),
			}
		},
		func(o report.Overlay) []string { return []string{o.Patient} })
}

func refsOf(ids []string) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = patientOf(id).String()
	}
	return out
}

// summary counts duplicates and overlays a hospital: numbers only.
func (h *Handlers) summary(c *gin.Context) {
	if _, ok := h.allow(c, ActionQueue); !ok {
		return
	}
	list, err := h.cfg.Reports.Summary(c.Request.Context())
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	h.answer(c, ActionQueue, nil, gin.H{"organizations": orEmpty(list)})
}

// maxDisagreements is how many pairs a comparison of models lists.
const maxDisagreements = 200

func (h *Handlers) shadow(c *gin.Context) {
	if _, ok := h.allow(c, ActionQueue); !ok {
		return
	}
	ctx, model := c.Request.Context(), c.Query("model")
	models, err := h.cfg.Reports.Models(ctx)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	if model == "" {
		h.answer(c, ActionQueue, nil, gin.H{"models": orEmpty(models)})
		return
	}
	out, err := h.cfg.Reports.Compare(ctx, model, maxDisagreements)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	if out.Pairs == 0 {
		rest.WriteError(c, fhir.Errorf(fhir.NotFound, "nothing is recorded of this model").At("model"))
		return
	}
	var about []fhir.Key
	for _, d := range out.Disagreements {
		about = append(about, patientOf(d.A), patientOf(d.B))
	}
	h.answer(c, ActionQueue, about, out)
}

// policy shows the region's policy in force.
func (h *Handlers) policy(c *gin.Context) {
	if _, ok := h.allow(c, ActionQueue); !ok {
		return
	}
	if h.cfg.Policy == nil {
		rest.WriteError(c, fhir.Errorf(fhir.NotFound, "no policy is known here"))
		return
	}
	h.answer(c, ActionQueue, nil, h.cfg.Policy)
}
