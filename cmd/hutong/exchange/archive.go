package exchange

import (
	"context"
	"net/http"
	"path/filepath"
	"time"

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/rest"
	"hutong/fhir/store/disk/backup"
	"hutong/fhir/store/disk/revive"
	"hutong/gateway/audit"
	"hutong/gateway/principal"
)

// openArchive begins to archive what is committed, if the settings name a
// folder for it; otherwise no journal is kept for one.
func (e *Exchange) openArchive(ctx context.Context) (err error) {
	living, ok := e.Store.(*revive.Store)
	if !ok {
		return nil // the engine has a backup of its own
	}
	if e.cfg.Archive == "" {
		return living.Engine().Spaces().StopJournal(ctx)
	}
	dir, err := e.cfg.engineDir()
	if err != nil {
		return err
	}
	e.archive, err = backup.Open(ctx, backup.Config{
		Store: living, Engine: func() backup.Engine { return living.Engine() },
		Dir: e.cfg.Archive, Staging: filepath.Join(filepath.Dir(dir), ".checkpoint"), Log: e.log,
	})
	return err
}

// archiving runs the archive, and copies the store when it is time, until ctx
// ends.
func (e *Exchange) archiving(ctx context.Context) {
	e.idle.Go(func() { e.archive.Run(ctx) })
	if e.cfg.CopyEvery == 0 {
		return
	}
	e.idle.Go(func() {
		tick := time.NewTicker(e.cfg.CopyEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if m, err := e.archive.Copy(ctx); err != nil {
				e.log.Error().Err(err).Msg("archive: the store could not be copied")
			} else {
				e.log.Info().Uint64("t", uint64(m.T)).Int("files", len(m.Files)).Msg("archive: the store was copied")
			}
		}
	})
}

// operator admits the administrators of the exchange, who see no records.
func operator(c *gin.Context) bool {
	p := principal.From(c.Request.Context())
	if p != nil && (p.Open || p.Has(principal.Admin)) {
		return true
	}
	rest.WriteError(c, fhir.Errorf(fhir.Forbidden, "this is for the operators of the exchange"))
	return false
}

// mountAdmin mounts what operators ask of a running exchange.
func (e *Exchange) mountAdmin(r *gin.RouterGroup) {
	r.GET("/backup", e.backupStatus)
	r.POST("/backup", e.backupNow)
}

// archived reports whether there is an archive, and answers if not.
func (e *Exchange) archived(c *gin.Context) bool {
	if e.archive == nil {
		rest.WriteError(c, fhir.Errorf(fhir.NotFound, "this exchange keeps no archive: start it with --archive DIR"))
		return false
	}
	return true
}

// backupStatus is GET /api/admin/backup: how far the archive is.
func (e *Exchange) backupStatus(c *gin.Context) {
	if operator(c) && e.archived(c) {
		c.JSON(http.StatusOK, e.archive.Status())
	}
}

// backupNow is POST /api/admin/backup: a copy of the store into the archive's
// folder, which only the settings name.
func (e *Exchange) backupNow(c *gin.Context) {
	if !operator(c) || !e.archived(c) {
		return
	}
	if e.trail != nil {
		if err := e.trail.Event(c.Request.Context(), audit.Event{Action: audit.Workflow, Reason: "backup"}); err != nil {
			rest.WriteError(c, err)
			return
		}
	}
	_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Time{}) // a large store takes as long as it takes
	// A copy that was begun is finished, whoever waits for it.
	m, err := e.archive.Copy(context.WithoutCancel(c.Request.Context()))
	if err != nil {
		rest.WriteError(c, fhir.Errorf(fhir.Internal, "backup: %w", err))
		return
	}
	c.JSON(http.StatusOK, m)
}
